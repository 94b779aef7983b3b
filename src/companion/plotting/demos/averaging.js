  const rho = slider("rho", "correlation of the layers' errors", [0, 1, 0.01, data.rho], (v) => Number(v).toFixed(2), update);
  const count = slider("count", "layers averaged, N", [0, data.counts.length - 1, 1, 5], (k) => String(data.counts[k]), update);
  const expected = (r, n) => r + (1 - r) / n;
  const drawn = (r, [gg, gz, zz]) => r * gg + 2 * Math.sqrt(r * (1 - r)) * gz + (1 - r) * zz;

  function update() {
    const r = rho.value(), n = data.counts[count.value()], last = data.counts[data.counts.length - 1];
    const range = [0.5 / last, 2];
    const chart = axes({ log: true, range: [1, last], ticks: data.counts, label: "layers averaged, N" }, { log: true, range, ticks: decades(range), label: "mean square error of the mean" });
    chart.line(data.counts.map((k) => [k, 1 / k]), "plain");
    chart.line(data.counts.map((k) => [k, expected(r, k)]), "one");
    chart.dots(data.counts.map((k, i) => [k, drawn(r, data.moments[i])]), "two");
    draw("line", { class: "three", x1: chart.X(n), x2: chart.X(n), y1: TOP, y2: BOTTOM });
    draw("text", { x: chart.X(last / 4), y: chart.Y(4 / last) + 26, "text-anchor": "end" }, "1/N");
    const here = expected(r, n), seen = drawn(r, data.moments[count.value()]), slope = (1 - r) / n / here;
    say("At N = " + n + " the error is " + here.toFixed(4) + " (drawn: " + seen.toFixed(4) + ") and falls as N to the power \u2212" + slope.toFixed(2) + ". More layers cannot bring it below " + r.toFixed(2) + ", what all errors share.", { expected: here, drawn: seen, slope });
  }
  update();
