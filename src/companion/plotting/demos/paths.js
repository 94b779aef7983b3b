  const names = Object.keys(data.presets);
  const regime = choice("regime", "regime to start from", names.map((name) => [name, name]), reset);
  let points = [];
  const X = (v) => 320 + 210 * v, Y = (v) => 185 - 130 * v;
  const length = ([a, b]) => Math.hypot(a, b);
  const angle = (u, v) => Math.abs(Math.atan2(u[0] * v[1] - u[1] * v[0], u[0] * v[0] + u[1] * v[1]));
  const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;

  function reset() {
    points = data.presets[regime.value()].map((p) => p.slice());
    picture();
  }

  function picture() {
    svg.replaceChildren();
    draw("line", { class: "axis", x1: 0, x2: 640, y1: Y(0), y2: Y(0) });
    draw("line", { class: "axis", x1: X(0), x2: X(0), y1: 0, y2: 270 });
    draw("text", { x: X(0) + 6, y: Y(0) + 18 }, "origin");
    draw("path", { class: "one", d: points.map(([a, b], i) => (i ? "L" : "M") + X(a) + " " + Y(b)).join("") });
    points.forEach(([a, b], i) => {
      const dot = draw("circle", { class: i ? "two" : "three", cx: X(a), cy: Y(b), r: 9, tabindex: 0, role: "button", "aria-label": i ? "state behind layer " + i : "state before the first layer", "data-index": i });
      dot.addEventListener("keydown", (event) => press(event, i));
      dot.addEventListener("pointerdown", (event) => hold(event, i));
    });
    draw("text", { x: X(points[0][0]), y: Y(points[0][1]) - 16, "text-anchor": "middle" }, "start");
    told();
  }

  function told() {
    const turns = points.slice(1).map((p, i) => angle(points[i], p));
    const updates = points.slice(1).map((p, i) => [p[0] - points[i][0], p[1] - points[i][1]]);
    const cosines = updates.slice(1).map((u, i) => (u[0] * updates[i][0] + u[1] * updates[i][1]) / (length(u) * length(updates[i])));
    const participation = turns.reduce((a, b) => a + b, 0) ** 2 / (turns.length * turns.reduce((a, b) => a + b * b, 0));
    say("Rotation by layer: " + turns.map((t) => t.toFixed(2)).join(", ") + " rad. Participation " + participation.toFixed(2) + ", mean cosine of neighbouring updates " + mean(cosines).toFixed(2) + ".", { turns: turns.join(" "), cosine: mean(cosines), participation, points: JSON.stringify(points) });
  }

  function move(i, a, b) {
    points[i] = [Math.min(1.45, Math.max(-1.45, a)), Math.min(1.35, Math.max(-0.6, b))];
    picture();
    svg.querySelector("[data-index='" + i + "']").focus();
  }

  function press(event, i) {
    const by = { ArrowLeft: [-0.05, 0], ArrowRight: [0.05, 0], ArrowUp: [0, 0.05], ArrowDown: [0, -0.05] }[event.key];
    if (!by) return;
    event.preventDefault();
    move(i, points[i][0] + by[0], points[i][1] + by[1]);
  }

  function hold(event, i) {
    event.preventDefault();
    const follow = (e) => {
      const box = svg.getBoundingClientRect(), unit = 640 / box.width;
      move(i, ((e.clientX - box.left) * unit - 320) / 210, (185 - (e.clientY - box.top) * unit) / 130);
    };
    const end = () => { window.removeEventListener("pointermove", follow); window.removeEventListener("pointerup", end); };
    window.addEventListener("pointermove", follow);
    window.addEventListener("pointerup", end);
  }
  reset();
