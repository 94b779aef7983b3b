// What a page looks like at this width: one look, all measures. Runs in the page.
async () => {
  const article = document.querySelector('article'), page = document.documentElement.clientWidth;
  const key = article.querySelector('figure img')?.getBoundingClientRect().bottom + scrollY;
  const height = document.documentElement.scrollHeight;
  const still = document.head.appendChild(document.createElement('style'));
  still.textContent = '* { animation: none !important; transition: none !important; }';
  article.querySelectorAll('details').forEach(one => { one.open = true; });
  const clips = one => getComputedStyle(one).overflowX !== 'visible';
  const held = one => one.closest('article') && (clips(one) || (one.parentElement !== article && held(one.parentElement)));
  const shown = one => one.checkVisibility({visibilityProperty: true, opacityProperty: true});
  const told = one => `${one.tagName.toLowerCase()}.${one.className?.baseVal ?? one.className}`;
  const all = [...article.querySelectorAll('*')].filter(shown);
  const wide = all.filter(one => one.getBoundingClientRect().right > page + 1 && !held(one.parentElement));
  const texts = [];
  const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() && !one.closest('mjx-container, script, style') && shown(one)) texts.push(walker.currentNode);
  }
  const size = node => parseFloat(getComputedStyle(node.parentElement).fontSize);
  const prose = texts.filter(node => !node.parentElement.closest('code, pre, table, a.reference, dl.py'));
  const figures = [];
  for (const image of article.querySelectorAll('img[src$=".svg"]')) {
    const text = await (await fetch(image.src)).text(), stand = document.createElement('div');
    stand.style.cssText = 'position: absolute; left: 0; top: 0; width: 1000px; visibility: hidden';
    stand.innerHTML = text.slice(text.indexOf('<svg'));
    document.body.append(stand);
    const box = one => one.getBoundingClientRect();
    const share = (a, b) => Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left))
      * Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)) / (a.width * a.height);
    const panels = [...stand.querySelectorAll('g[id^="axes_"] > g[id^="patch_"]:first-of-type')].map(box);
    const legends = [...stand.querySelectorAll('g[id^="legend_"]')].map(box);
    const names = [...stand.querySelectorAll('g[id^="label"]')].map(box);
    const scales = [...text.matchAll(/scale\(([\d.]+) -/g)].map(found => 100 * found[1]);
    const points = parseFloat(text.match(/ width="([\d.]+)pt"/)[1]);
    figures.push({
      alt: image.alt,
      type: shown(image) && scales.length ? Math.min(...scales) * image.clientWidth / points : null,
      words: [...text.matchAll(/<!-- (.*?) -->/g)].map(found => found[1]),
      touching: names.filter((one, at) => names.slice(at + 1).some(other => share(one, other) > 0.1)).length,
      covered: Math.max(0, ...legends.flatMap(legend => panels.map(panel => share(legend, panel)))),
    });
    stand.remove();
  }
  return {
    wide: [...new Set(wide.map(told))], scroll: document.documentElement.scrollWidth - page,
    height, key: key || null,
    small: texts.filter(node => size(node) < 9).map(node => node.data.trim()),
    prose: prose.map(node => node.data), figures,
  };
}
