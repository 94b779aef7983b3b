  const first = data.runs[0];
  const named = (rho) => rho === "0" ? "independent blocks" : rho === "1" ? "one block repeated" : "share " + rho + " in common";
  const teacher = choice("teacher", "teacher", data.teachers.map((rho) => [rho, named(rho)]), update);
  const training = choice("training", "training", data.runs.map((run, i) => [i, run.steps + " steps"]), update);
  const from = choice("from", "depths from", first.depths.slice(0, -2).map((d) => [d, d + " blocks"]), update);
  const to = choice("to", "depths to", first.depths.slice(2).map((d) => [d, d + " blocks"]), update);
  const floor = slider("floor", "floor, share of the lowest loss", [0, 0.95, 0.05, 0], (v) => Number(v).toFixed(2), update);
  training.node.value = data.runs.length - 1;
  to.node.value = first.depths[first.depths.length - 1];
  const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;

  function line(x, y) {
    const a = mean(x), b = mean(y);
    const slope = x.reduce((s, v, i) => s + (v - a) * (y[i] - b), 0) / x.reduce((s, v) => s + (v - a) ** 2, 0);
    return [slope, b - slope * a];
  }

  function update() {
    const run = data.runs[training.value()], low = Number(from.value()), high = Number(to.value());
    const rows = run.loss[teacher.value()].filter((row) => row.every((v) => v !== null && v > 0));
    const indices = run.depths.map((d, i) => i).filter((i) => run.depths[i] >= low && run.depths[i] <= high);
    const averaged = run.depths.map((d, i) => Math.exp(mean(rows.map((row) => Math.log(row[i])))));
    const range = [Math.min(...averaged) / 2, Math.max(...averaged) * 1.5];
    const chart = axes({ log: true, range: [run.depths[0], run.depths[run.depths.length - 1]], ticks: run.depths, label: "depth (blocks)" }, { log: true, range, ticks: decades(range), label: "loss, mean over teachers" });
    chart.dots(run.depths.map((d, i) => [d, averaged[i]]), "two");
    if (indices.length < 2) { say("Choose a range of two depths or more.", { exponent: "" }); return; }
    const x = indices.map((i) => Math.log(run.depths[i]));
    const fits = rows.map((row) => { const under = floor.value() * Math.min(...row); return line(x, indices.map((i) => Math.log(row[i] - under))); });
    const alphas = fits.map(([slope]) => -slope), alpha = mean(alphas), constant = mean(fits.map((fit) => fit[1]));
    const under = floor.value() * Math.min(...averaged), ends = indices.map((i) => run.depths[i]);
    chart.line(ends.map((d) => [d, under + Math.exp(constant - alpha * Math.log(d))]), "one");
    say("Exponent " + alpha.toFixed(2) + " over " + ends[0] + " to " + ends[ends.length - 1] + " blocks (single teachers: " + Math.min(...alphas).toFixed(2) + " to " + Math.max(...alphas).toFixed(2) + ").", { exponent: alpha, lowest: Math.min(...alphas), highest: Math.max(...alphas) });
  }
  update();
