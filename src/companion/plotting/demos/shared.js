  const svg = root.querySelector("svg"), answer = root.querySelector(".answer-line");
  const controls = root.querySelector(".controls");
  const LEFT = 70, RIGHT = 620, TOP = 14, BOTTOM = 225;

  // A labelled control with what it is set to beside it; `value()` reads it, `root.dataset` keeps it.
  function control(name, label, node, shown, changed) {
    node.id = root.id + "-" + name;
    const caption = document.createElement("label"), output = document.createElement("output");
    caption.textContent = label;
    caption.htmlFor = output.htmlFor = node.id;
    controls.append(caption, node, output);
    const set = () => { output.textContent = shown(node.value); };
    node.addEventListener("input", () => { set(); changed(); });
    set();
    return { node, set, value: () => node.value };
  }

  function slider(name, label, range, shown, changed) {
    const [min, max, step, value] = range, node = document.createElement("input");
    Object.assign(node, { type: "range", min, max, step, value });
    const made = control(name, label, node, shown, changed);
    return { ...made, value: () => Number(node.value) };
  }

  function choice(name, label, options, changed) {
    const node = document.createElement("select");
    for (const [value, text] of options) node.append(new Option(text, value));
    return control(name, label, node, () => "", changed);
  }

  function draw(tag, attributes, text) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    svg.append(node);
    return node;
  }

  // Axes over the two ranges, logarithmic where asked; returns how to place and to draw.
  function axes(x, y) {
    svg.replaceChildren();
    const scale = (axis, from, to) => {
      const f = axis.log ? Math.log : (v) => v, [low, high] = axis.range.map(f);
      return (v) => from + (to - from) * (f(v) - low) / (high - low || 1);
    };
    const X = scale(x, LEFT, RIGHT), Y = scale(y, BOTTOM, TOP);
    draw("line", { class: "axis", x1: LEFT, x2: RIGHT, y1: BOTTOM, y2: BOTTOM });
    draw("line", { class: "axis", x1: LEFT, x2: LEFT, y1: TOP, y2: BOTTOM });
    for (const v of x.ticks) draw("text", { x: X(v), y: BOTTOM + 18, "text-anchor": "middle" }, short(v));
    for (const v of y.ticks) draw("text", { x: LEFT - 8, y: Y(v) + 5, "text-anchor": "end" }, short(v));
    draw("text", { x: (LEFT + RIGHT) / 2, y: BOTTOM + 40, "text-anchor": "middle" }, x.label);
    draw("text", { x: LEFT + 8, y: TOP + 6 }, y.label);
    const within = ([a, b]) => Number.isFinite(X(a)) && Number.isFinite(Y(b));
    return {
      X, Y,
      line(points, kind) {
        const d = points.filter(within).map(([a, b], i) => (i ? "L" : "M") + X(a).toFixed(1) + " " + Y(b).toFixed(1)).join("");
        draw("path", { class: kind, d });
      },
      dots(points, kind) { for (const [a, b] of points.filter(within)) draw("circle", { class: kind, cx: X(a), cy: Y(b), r: 4 }); },
    };
  }

  const short = (v) => v !== 0 && (Math.abs(v) >= 1e4 || Math.abs(v) < 1e-2) ? v.toExponential(0) : Number(v.toPrecision(3)).toString();

  // Powers of ten within a logarithmic range, its ends where there are fewer than two.
  function decades([low, high]) {
    const powers = [];
    for (let k = Math.ceil(Math.log10(low)); k <= Math.log10(high); k++) powers.push(10 ** k);
    return powers.length > 1 ? powers : [low, Math.sqrt(low * high), high];
  }

  // What the page says in words, and the numbers behind it for whoever reads the element.
  function say(text, numbers) {
    answer.textContent = text;
    for (const key in numbers) root.dataset[key] = numbers[key];
  }
