  const cuts = data.cuts;
  const drop = slider("drop", "highest losses left out", [0, cuts.length - 1, 1, 0], (k) => cuts[k].drop + " of " + data.rows, update);
  const span = [Math.min(...cuts.map((c) => c.values[0])), Math.max(...cuts.map((c) => c.values[c.values.length - 1]))];

  function update() {
    const cut = cuts[drop.value()], top = 2.5 * cut.level;
    const step = span[1] - span[0] > 2 ? 0.5 : 0.25, ticks = [];
    for (let v = Math.ceil(span[0] / step) * step; v <= span[1]; v += step) ticks.push(v);
    const chart = axes({ range: span, ticks, label: "depth exponent" }, { range: [0, top], ticks: [0, cut.level], label: "deviance; dashed: the 95 % limit" });
    chart.line(span.map((v) => [v, cut.level]), "plain");
    const curve = cut.values.map((v, i) => [v, cut.deviance[i] === null || cut.deviance[i] > top ? NaN : cut.deviance[i]]);
    chart.line(curve, "one");
    chart.dots([[cut.estimate, 0]], "two");
    if (1 >= span[0] && 1 <= span[1]) draw("line", { class: "three", x1: chart.X(1), x2: chart.X(1), y1: TOP, y2: BOTTOM });
    const end = (v) => v === null ? "no bound" : v.toFixed(2);
    say("Depth exponent " + cut.estimate.toFixed(2) + " from " + cut.n + " rows, 95 % interval " + end(cut.low) + " to " + end(cut.high) + ". The upright line is the exponent 1 of the paper.", { estimate: cut.estimate, low: cut.low, high: cut.high, drop: cut.drop });
  }
  update();
