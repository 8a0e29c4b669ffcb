"""What the suffix of a file says of its content, without opening it."""

VIDEO_SUFFIXES = frozenset(
    ".mp4 .avi .mov .mkv .m4v .mpg .mpeg .wmv .webm .ts .flv .mts .m2ts .vob .3gp .3g2 .asf .divx "
    ".dv .f4v .h264 .m2t .m2v .mpe .mxf .ogv .xvid".split()
)
IMAGE_SUFFIXES = frozenset(".jpg .jpeg .png .bmp .tif .tiff .webp".split())
# Of any other file its content tells whether it is a video; these need not be opened for that.
NO_VIDEO_SUFFIXES = frozenset(
    ".csv .tsv .txt .md .json .jsonl .xml .yaml .yml .html .pdf .doc .docx .xls .xlsx .ods .srt "
    ".vtt .ass .eaf .wav .mp3 .m4a .aac .flac .opus .wma .zip .gz .tar .7z .rar .npy .npz .pkl .pt "
    ".pth .safetensors .h5 .mat .py .sh .ipynb .log .db .svg .ini .cfg .exe".split()
)
