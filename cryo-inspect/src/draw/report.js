"use strict";
// Tables sort by the column that is clicked.
for (const head of document.querySelectorAll(".rows thead th")) {
  head.addEventListener("click", () => {
    const body = head.closest("table").tBodies[0], column = head.cellIndex, down = head.dataset.down = head.dataset.down === "1" ? "0" : "1";
    const key = row => { const cell = row.cells[column]; return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v); };
    const sorted = [...body.rows].sort((a, b) => { const x = key(a), y = key(b); return (x < y ? -1 : x > y ? 1 : 0) * (down === "1" ? 1 : -1); });
    body.append(...sorted);
  });
}
// The picture zooms about the pointer, and a double click shows all of it again.
for (const map of document.querySelectorAll("svg.map")) {
  let left = 0, width = 1000;
  const show = () => map.setAttribute("viewBox", `${left} 0 ${width} 60`);
  map.addEventListener("wheel", event => {
    event.preventDefault();
    const at = event.offsetX / map.clientWidth, next = Math.min(1000, Math.max(1, width * (event.deltaY < 0 ? 0.8 : 1.25)));
    left = Math.min(1000 - next, Math.max(0, left + at * (width - next)));
    width = next;
    show();
  }, { passive: false });
  map.addEventListener("dblclick", () => { left = 0; width = 1000; show(); });
}
