for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.tabIndex = 0;
    const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const sort = () => {
      const sign = head.ariaSort === "descending" ? 1 : -1;
      const known = (row) => value(row) !== "";
      const compare = (a, b) => value(a).localeCompare(value(b), undefined, { numeric: true });
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => known(b) - known(a) || sign * compare(a, b));
      heads.forEach((other) => { other.ariaSort = null; });
      head.ariaSort = sign === 1 ? "ascending" : "descending";
      table.tBodies[0].append(...rows);
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });
}
