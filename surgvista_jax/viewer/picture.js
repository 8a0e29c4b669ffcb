// The picture of the moment: the video where there is one, else the nearest frame of the film.

const MOST_DECODED = 96; // frames that are held decoded, of some 190 kB each

function makeFilm(film) {
  const addresses = film ? film.images.map(() => null) : [];
  const decoded = new Map(); // number -> bitmap, the last used last
  const numberAt = (second) => (film ? Math.max(firstAfter(film.seconds, second + 1e-6) - 1, 0) : null);
  return {
    count: addresses.length,
    numberAt,
    addressAt: (second) => {
      const k = numberAt(second);
      return k === null ? null : (addresses[k] ??= pictureAddress(film.images[k]));
    },
    // A frame as a bitmap; a picture that is decoded aside does not hold up whoever drags.
    async bitmap(k) {
      const bitmap = decoded.get(k) ?? await createImageBitmap(new Blob([unpacked(film.images[k])]));
      decoded.delete(k);
      decoded.set(k, bitmap);
      if (decoded.size > MOST_DECODED) decoded.delete(decoded.keys().next().value);
      return bitmap;
    },
  };
}

function makePicture(page) {
  const { operation } = page;
  const still = element("canvas", { className: "still", ariaHidden: "true" });
  const video = element("video", { muted: true, playsInline: true, preload: "auto", hidden: true });
  const words = element("p", { className: "said-of-video", hidden: true });
  const chooser = element("input", { type: "file", accept: "video/*", hidden: true });
  const open = element("button", { type: "button", text: "Open the video…", title: "a file on this computer; it is sent nowhere" });
  const play = element("button", { type: "button", text: "▶", title: "play (space)", ariaLabel: "play or pause", hidden: true });
  const box = element("div", { className: "picture" }, still, video,
    element("div", { className: "controls" }, play, open, chooser));
  let has = false, wanted = null, asked = null, drawn = null, drawing = false;

  const say = (text) => { words.textContent = text; words.hidden = !text; };

  function use(source, name) {
    say("");
    video.src = source;
    video.onloadedmetadata = () => {
      has = true;
      video.hidden = play.hidden = false;
      open.hidden = true;
      const apart = Math.abs(video.duration - operation.duration);
      if (Number.isFinite(apart) && apart > Math.max(5, 0.05 * operation.duration))
        say(`${name} lasts ${timeText(video.duration)}, the predictions ${timeText(operation.duration)}: is it the same video?`);
      show();
    };
    video.onerror = () => gone(`${name} cannot be shown: it was moved or removed, or this browser does not know its kind`);
  }

  function gone(text) {
    has = false;
    video.hidden = play.hidden = true;
    open.hidden = false;
    say(page.film.count ? `${text}. You see small frames of it instead.` : `${text}.`);
    show();
  }

  function show() {
    if (has && !video.hidden) {
      still.hidden = true;
      if (!video.paused) return;
      wanted = page.seconds;
      if (!video.seeking) seekVideo();
      return;
    }
    asked = page.film.numberAt(page.seconds);
    if (asked === null || drawing || (asked === drawn && !still.hidden)) return;
    drawStill();
  }

  // One frame at a time, then the one that is asked for by then.
  async function drawStill() {
    drawing = true;
    do {
      drawn = asked;
      try {
        const bitmap = await page.film.bitmap(drawn);
        if (still.width !== bitmap.width || still.height !== bitmap.height)
          [still.width, still.height] = [bitmap.width, bitmap.height];
        still.getContext("2d").drawImage(bitmap, 0, 0);
        still.hidden = has;
      } catch {
        still.hidden = true; // no picture after all
      }
    } while (drawn !== asked);
    drawing = false;
  }

  // One seek at a time: whoever drags asks for more than a decoder can do.
  function seekVideo() {
    if (wanted === null) return;
    const second = Math.min(wanted, Number.isFinite(video.duration) ? video.duration : wanted);
    wanted = null;
    if (Math.abs(video.currentTime - second) > 1e-3) video.currentTime = second;
  }
  video.addEventListener("seeked", seekVideo);

  function toggle() {
    if (!has) return page.say("Open the video to play it");
    if (video.paused) video.play().catch(() => {});
    else video.pause();
  }
  const running = () => {
    if (video.paused) return;
    page.seek(video.currentTime, true);
    requestAnimationFrame(running);
  };
  video.addEventListener("play", () => { play.textContent = "❚❚"; running(); });
  video.addEventListener("pause", () => { play.textContent = "▶"; });
  play.addEventListener("click", toggle);
  box.addEventListener("click", (event) => { if (event.target === video) toggle(); });
  open.addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    const file = chooser.files[0];
    if (file) use(URL.createObjectURL(file), file.name);
  });

  still.hidden = true; // till something is drawn on it
  if (operation.media?.url) use(operation.media.url, operation.media.name);
  else if (operation.media?.missing) gone(operation.media.missing);
  return { element: element("div", { className: "seen" }, box, words), show, toggle,
    seek() { if (has && !video.paused) video.pause(); } };
}
