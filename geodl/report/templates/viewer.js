"use strict";
for (const viewer of document.querySelectorAll("[data-viewer]")) {
  const part = (role) => viewer.querySelector(`[data-role="${role}"]`);
  const stage = viewer.querySelector(".stage");
  const panes = { left: viewer.querySelector('[data-pane="left"]'), right: viewer.querySelector('[data-pane="right"]') };
  const images = [...viewer.querySelectorAll("[data-layer]")];
  const divider = viewer.querySelector(".divider");
  const bar = part("scalebar");
  const [width, height] = [Number(viewer.dataset.width), Number(viewer.dataset.height)];
  const [pixelY, pixelX] = [Number(viewer.dataset.pixelY || 1), Number(viewer.dataset.pixelX || 1)];
  // Pixels that are no squares on the ground are none here.
  const stretch = pixelY / pixelX;
  const most = 40;
  const view = { scale: 0, x: 0, y: 0 };
  viewer.classList.add("ready");
  stage.style.aspectRatio = `${width} / ${height * stretch}`;

  const size = () => [stage.clientWidth, stage.clientHeight];
  const fitting = () => Math.min(size()[0] / width, size()[1] / (height * stretch));
  const within = (value, low, high) => Math.min(Math.max(value, low), high);

  function fit() {
    const [w, h] = size();
    view.scale = fitting();
    view.x = (w - width * view.scale) / 2;
    view.y = (h - height * stretch * view.scale) / 2;
    draw();
  }

  function zoom(factor, x = size()[0] / 2, y = size()[1] / 2) {
    const scale = within(view.scale * factor, fitting() * 0.8, Math.max(most, fitting()));
    view.x = x - (x - view.x) * (scale / view.scale);
    view.y = y - (y - view.y) * (scale / view.scale);
    view.scale = scale;
    draw();
  }

  function pan(x, y) {
    view.x += x;
    view.y += y;
    draw();
  }

  function draw() {
    const [w, h] = size();
    view.x = within(view.x, w / 2 - width * view.scale, w / 2);
    view.y = within(view.y, h / 2 - height * stretch * view.scale, h / 2);
    for (const image of stage.querySelectorAll("img")) {
      image.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale}, ${view.scale * stretch})`;
      image.classList.toggle("near", view.scale * devicePixelRatio >= 1.5);
    }
    const share = Number(part("swipe").value) / 100;
    divider.style.left = `${share * w}px`;
    panes.right.style.clipPath = `inset(0 0 0 ${share * w}px)`;
    const opacity = Number(part("opacity").value) / 100;
    panes.right.style.opacity = String(opacity);
    // What has no data on the right is not filled by the layer on the left.
    panes.left.style.clipPath = opacity < 1 ? "" : `inset(0 ${(1 - share) * w}px 0 0)`;
    part("zoom").textContent = `${(100 * view.scale).toFixed(0)} %`;
    stage.dataset.scale = String(view.scale);
    if (bar) drawScale();
  }

  function drawScale() {
    const metres = (pixelX / view.scale) * 110;
    const power = 10 ** Math.floor(Math.log10(metres));
    const length = [5, 2, 1].find((step) => step * power <= metres) * power;
    const line = bar.querySelector("span");
    line.style.width = `${(length * view.scale) / pixelX}px`;
    bar.firstChild.textContent = length >= 1000 ? `${length / 1000} km` : `${Number(length.toPrecision(1))} m`;
    bar.dataset.metres = String(length);
  }

  function choose() {
    const chosen = { left: Number(part("left").value), right: Number(part("right").value) };
    const shown = new Set(Object.values(chosen));
    for (const side of ["left", "right"]) {
      const original = images[chosen[side]];
      const copy = original.cloneNode();
      copy.removeAttribute("data-layer");
      copy.style.width = `${width}px`;
      copy.style.height = `${height}px`;
      panes[side].replaceChildren(copy);
      viewer.querySelector(`[data-tag="${side}"]`).textContent = original.alt;
    }
    for (const legend of viewer.querySelectorAll("[data-legend]")) {
      const own = legend.dataset.legend.split(" ").map(Number).filter((number) => shown.has(number));
      legend.hidden = !own.length;
      legend.firstElementChild.textContent = own.map((number) => images[number].alt).join(", ");
    }
    draw();
  }

  function swipe(share) {
    part("swipe").value = String(within(share, 0, 100));
    draw();
  }

  if (bar) bar.prepend(document.createTextNode(""));
  for (const side of ["left", "right"]) part(side).addEventListener("change", choose);
  for (const slider of ["swipe", "opacity"]) part(slider).addEventListener("input", draw);
  part("in").addEventListener("click", () => zoom(1.5));
  part("out").addEventListener("click", () => zoom(1 / 1.5));
  part("fit").addEventListener("click", fit);

  stage.addEventListener("wheel", (event) => {
    // In a long page the wheel scrolls, until the map is chosen.
    if (viewer.dataset.wheel !== "always" && !event.ctrlKey && document.activeElement !== stage) return;
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    const lines = event.deltaMode === 1 ? 30 : 1;
    zoom(Math.exp(within(-event.deltaY * lines * 0.002, -0.5, 0.5)), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });

  const pointers = new Map();
  const middle = () => {
    const points = [...pointers.values()];
    const [x, y] = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
    return [x, y, points.length > 1 ? Math.hypot(points[0][0] - points[1][0], points[0][1] - points[1][1]) : 0];
  };
  let swiping = false;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    stage.focus({ preventScroll: true });
    stage.setPointerCapture(event.pointerId);
    swiping = pointers.size === 0 && divider.contains(event.target);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    stage.classList.add("dragging");
  });
  stage.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    const box = stage.getBoundingClientRect();
    const before = middle();
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    const after = middle();
    if (swiping) {
      swipe((100 * (event.clientX - box.left)) / box.width);
      return;
    }
    pan(after[0] - before[0], after[1] - before[1]);
    if (before[2] > 0 && after[2] > 0) zoom(after[2] / before[2], after[0] - box.left, after[1] - box.top);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, (event) => {
      pointers.delete(event.pointerId);
      if (!pointers.size) stage.classList.remove("dragging");
    });
  }

  const step = 60;
  const keys = {
    ArrowLeft: () => pan(step, 0), ArrowRight: () => pan(-step, 0), ArrowUp: () => pan(0, step), ArrowDown: () => pan(0, -step),
    "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: fit,
    "[": () => swipe(Number(part("swipe").value) - 5), "]": () => swipe(Number(part("swipe").value) + 5),
  };
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });

  let fitted = 0;
  new ResizeObserver(() => {
    // What was fitted stays so when the window changes; what was zoomed into stays where it was.
    if (Math.abs(view.scale - fitted) > 1e-9) return draw();
    fit();
    fitted = view.scale;
  }).observe(stage);
  fit();
  fitted = view.scale;
  choose();
}
