"""The names of a run's clips and frames in its messages."""

from surgvista_jax.data.batches.clips import ClipConfig, ClipIndex
from surgvista_jax.data.batches.samples import sample_frame_ids
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.training.names import Names


def clip_names(dataset: Dataset, clip: ClipConfig) -> Names:
    """Names by video and frame, from the index that batches carry.

    Args:
        dataset: what the batches are of.
        clip: what a clip of it is.
    """
    clips = ClipIndex([video.num_frames for video in dataset.videos])

    def name(index: int) -> str:
        number, last = clips[index]
        return f"{dataset.videos[number].video} up to frame {last}"

    def frame(index: int, place: int) -> str:
        number, last = clips[index]
        video = dataset.videos[number]
        return f"{video.video}, frame {sample_frame_ids(clip, video, last)[place]}"

    return Names(clip=name, frame=frame)
