//! Tables of Markdown, and what a cell of them says.

/// One table: the section it stands in, its header, its rows.
pub struct Table {
    /// The heading's number: `4a`.
    section: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// One row, its cells found by the names of their columns.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    table: &'a Table,
    cells: &'a [String],
}

/// All tables of `text`, in order.
pub fn tables(text: &str) -> Vec<Table> {
    let (mut tables, mut section, mut inside) = (Vec::new(), String::new(), false);
    for line in text.lines() {
        if line.starts_with('#') {
            let title = line.trim_start_matches('#').trim();
            section = title.split(['.', ' ']).next().unwrap_or_default().to_owned();
        }
        let Some(cells) = cells(line) else {
            inside = false;
            continue;
        };
        if !inside {
            tables.push(Table { section: section.clone(), header: cells, rows: Vec::new() });
            inside = true;
        } else if !cells.iter().all(|cell| cell.chars().all(|c| c == '-')) {
            let table = tables.last_mut().expect("a header came first");
            assert_eq!(cells.len(), table.header.len(), "a row of table {section} has other columns: {line}");
            table.rows.push(cells);
        }
    }
    tables
}

fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(|cell| cell.trim().to_owned()).collect())
}

/// The table of `section` with this many rows: one more or fewer means that the file is another one.
pub fn table<'a>(tables: &'a [Table], section: &str, rows: usize) -> Vec<Row<'a>> {
    let table = tables.iter().find(|table| table.section == section && table.rows.len() == rows);
    let table = table.unwrap_or_else(|| panic!("validation.md has no table of {rows} rows in section {section}"));
    table.rows.iter().map(|cells| Row { table, cells }).collect()
}

impl<'a> Row<'a> {
    /// The cell of the column whose header is or begins with `column`.
    pub fn text(self, column: &str) -> &'a str {
        let header = &self.table.header;
        let at = header
            .iter()
            .position(|own| own == column)
            .or_else(|| header.iter().position(|own| own.starts_with(column)));
        let at = at.unwrap_or_else(|| panic!("table {} has no column {column}", self.table.section));
        &self.cells[at]
    }

    pub fn number(self, column: &str) -> f64 {
        let text = self.text(column);
        text.parse()
            .unwrap_or_else(|_| panic!("table {}, {column}: found {text:?}, expected a number", self.table.section))
    }

    pub fn count(self, column: &str) -> u32 {
        let text = self.text(column);
        text.parse()
            .unwrap_or_else(|_| panic!("table {}, {column}: found {text:?}, expected a count", self.table.section))
    }
}
