"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const jobs = Array.from(document.querySelectorAll(".job"));
  const categories = Array.from(document.querySelectorAll(".category"));
  const chips = Array.from(document.querySelectorAll(".chip[data-outcome]"));
  const every = document.getElementById("every");
  const search = document.getElementById("search");
  const found = document.getElementById("found");
  const expand = document.getElementById("expand");
  if (!search) return;

  const texts = jobs.map((job) => job.querySelector("summary .what").textContent.toLowerCase());

  const apply = () => {
    const wanted = new Set(chips.filter((chip) => chip.getAttribute("aria-pressed") === "true").map((chip) => chip.dataset.outcome));
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    jobs.forEach((job, index) => {
      const visible = (!wanted.size || wanted.has(job.dataset.outcome)) && words.every((word) => texts[index].includes(word));
      job.hidden = !visible;
      shown += visible;
    });
    categories.forEach((category) => { category.hidden = !category.querySelector(".job:not([hidden])"); });
    every.setAttribute("aria-pressed", String(!wanted.size));
    found.textContent = shown === jobs.length ? "" : shown ? `Showing ${shown} of ${jobs.length}` : "No job matches.";
  };

  chips.forEach((chip) => chip.addEventListener("click", () => {
    chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
    apply();
  }));
  every.addEventListener("click", () => {
    chips.forEach((chip) => chip.setAttribute("aria-pressed", "false"));
    search.value = "";
    apply();
  });
  search.addEventListener("input", apply);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && event.target !== search) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && event.target === search) {
      search.value = "";
      apply();
    }
  });
  expand.addEventListener("click", () => {
    const open = expand.getAttribute("aria-expanded") !== "true";
    jobs.forEach((job) => { job.open = open && !job.hidden; });
    expand.setAttribute("aria-expanded", String(open));
    expand.textContent = open ? "Collapse all" : "Expand all";
  });

  const follow = () => {
    const job = /^#job-\d+$/.test(location.hash) && document.querySelector(location.hash);
    if (!job) return;
    if (job.hidden) every.click();
    job.open = true;
    job.scrollIntoView();
  };
  addEventListener("hashchange", follow);
  follow();
})();
