// Tooltips of the marks: by pointer, touch and keyboard. A chart is one stop of Tab; arrow keys move between its marks.

const tooltip = element("div", { class: "tip", role: "tooltip", id: "tip", hidden: "" });

function describeMarks() {
  hideTip();
  for (const list of document.querySelectorAll(".marks")) {
    [...list.children].forEach((mark, place) => {
      if (mark.title) {
        mark.dataset.tip = mark.title;
        mark.removeAttribute("title");
      }
      mark.tabIndex = place ? -1 : 0;
      mark.setAttribute("aria-label", mark.dataset.tip.replaceAll("\n", "; "));
    });
  }
}

let tippedMark = null;

function placeTip() {
  if (!tippedMark) return;
  const box = tippedMark.getBoundingClientRect();
  const own = tooltip.getBoundingClientRect();
  const width = document.documentElement.clientWidth;
  const left = Math.min(Math.max(box.left + (box.width - own.width) / 2, 8), width - own.width - 8);
  tooltip.style.left = `${left}px`;
  tooltip.style.top = `${box.top > own.height + 16 ? box.top - own.height - 8 : box.bottom + 8}px`;
}

function showTip(mark) {
  tippedMark = mark;
  tooltip.textContent = mark.dataset.tip;
  tooltip.hidden = false;
  placeTip();
}

function hideTip() {
  tippedMark = null;
  tooltip.hidden = true;
}

function moveTo(mark, place) {
  const marks = [...mark.parentElement.children];
  const next = marks[Math.min(Math.max(place(marks.indexOf(mark), marks.length), 0), marks.length - 1)];
  mark.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

const KEYS = {
  ArrowRight: (place) => place + 1, ArrowDown: (place) => place + 1,
  ArrowLeft: (place) => place - 1, ArrowUp: (place) => place - 1,
  Home: () => 0, End: (_, length) => length - 1,
};

function useTooltips() {
  document.querySelector("main").append(tooltip);
  describeMarks();
  const markOf = (event) => event.target.closest?.(".marks > li");
  const onMark = (act, otherwise = () => {}) => (event) => (markOf(event) ? act(markOf(event), event) : otherwise());
  document.addEventListener("pointerover", onMark(showTip, hideTip));
  document.addEventListener("pointerdown", onMark(showTip, hideTip));
  document.addEventListener("focusin", onMark(showTip, hideTip));
  document.addEventListener("scroll", placeTip, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hideTip();
    const mark = markOf(event);
    if (!mark || !KEYS[event.key]) return;
    event.preventDefault();
    moveTo(mark, KEYS[event.key]);
  });
}
