use std::path::{Path, PathBuf};

use super::*;
use crate::value::Kind;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
}

fn read(text: &str) -> Table {
    load(Path::new("/nowhere"), Source { text: Some(text), ..Source::default() }).unwrap().remove(0)
}

fn at(path: &str) -> Result<Vec<Table>, Failure> {
    load(&data(), Source { path: Some(path), ..Source::default() })
}

fn kinds(table: &Table) -> Vec<Kind> {
    table.columns.iter().map(|column| column.kind).collect()
}

fn shown(table: &Table, row: usize) -> Vec<String> {
    table.rows[row].cells.iter().map(Value::to_string).collect()
}

#[test]
fn without_a_folder_a_text_is_read_and_a_path_says_what_to_do() {
    assert_eq!(read("a\n1\n").rows.len(), 1);
    let path = Source { path: Some("orders.csv"), ..Source::default() };
    let failure = load(Path::new("/nowhere"), path).unwrap_err();
    assert!(failure.message.contains("`orders.csv` cannot be read: no folder was granted"), "{failure:?}");
    assert!(failure.hint.unwrap().contains("files=sheets:FOLDER`, or give the sheet itself as `text`"));
}

#[test]
fn kinds_are_what_all_cells_agree_on() {
    let table = read(
        "n,mixed,zip,flag,day,time,none,big\n1,1,007,TRUE,2024-01-31,2024-01-31T10:00,,1e300\n-2.50,x,101,false,2024-02-01,2024-02-01,,5\n",
    );
    use Kind::*;
    assert_eq!(kinds(&table), [Number, Text, Text, Boolean, Date, DateTime, Text, Number]);
    let big = "#a number of more than 28 digits in row 2";
    assert_eq!(shown(&table, 0), ["1", "1", "007", "true", "2024-01-31", "2024-01-31 10:00:00", "", big]);
    assert_eq!(shown(&table, 1)[0], "-2.5");
}

#[test]
fn delimiters_quotes_and_blanks_are_read() {
    for delimiter in [',', ';', '\t', '|'] {
        let text =
            "\u{feff}a,b,b,\r\n1,\"x, \"\"y\"\"\nz\",3,4\r\n\r\n 2 ,,,\r\n,,,\r\n".replace(',', &delimiter.to_string());
        let table = read(&text);
        let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "b 2", "column 4"], "{delimiter}");
        assert_eq!(shown(&table, 0)[1], format!("x{delimiter} \"y\"\nz"));
        assert_eq!((table.rows.len(), table.rows[1].cells[1].clone()), (2, Value::Empty));
    }
    assert_eq!(read("one\n1\n2\n").rows.len(), 2);
    assert_eq!(read("a,b\n1\n").rows[0].cells, [Value::Number(1.into()), Value::Empty]);
}

fn heads(table: &Table) -> Vec<&str> {
    table.columns.iter().map(|column| column.name.as_str()).collect()
}

#[test]
fn cells_that_say_that_there_is_no_value_are_empty() {
    let table = read("n,day,name,dash\n1,2024-01-31,none,-\nn/a,-,x,-\nNaN,NULL,y,-\n2.5,?,N/A,-\n,2024-02-01,z,-\n");
    assert_eq!(kinds(&table), [Kind::Number, Kind::Date, Kind::Text, Kind::Text]);
    let column = |at: usize| table.rows.iter().map(|row| row.cells[at].to_string()).collect::<Vec<_>>();
    assert_eq!(column(0), ["1", "", "", "2.5", ""]);
    assert_eq!(column(1), ["2024-01-31", "", "", "", "2024-02-01"]);
    // Among texts they are texts.
    assert_eq!(column(2), ["none", "x", "y", "N/A", "z"]);
    assert_eq!(column(3), ["-"; 5]);
    let remark =
        |name: &str, count: usize| format!("in `{name}` {count} cells are read as empty: `n/a`, `-` or the like");
    assert_eq!(table.remarks(), [remark("n", 2), remark("day", 3)]);
    assert_eq!(read("n\n1\nx\n-\n").columns[0].kind, Kind::Text);

    let mut rows: Vec<Row> = [Value::Number(1.into()), Value::text("n/a")]
        .into_iter()
        .enumerate()
        .map(|(at, cell)| Row { number: at + 2, cells: vec![cell] })
        .collect();
    let column = infer::column("n".into(), 0, &mut rows, true);
    assert_eq!((column.kind, column.no_value, &rows[1].cells[0]), (Kind::Number, 1, &Value::Empty), "of a workbook");
}

#[test]
fn titles_above_the_header_are_left_out() {
    for text in [
        "Sales 2024\nregion,month,sold\nNorth,1,10\nSouth,1,20\n",
        "Sales 2024,,\n,,\nregion,month,sold\nNorth,1,10\nSouth,1,20\n",
        "Sales 2024\nall regions\n\nregion;month;sold\nNorth;1;10\nSouth;1;20\n",
    ] {
        let table = read(text);
        assert_eq!(heads(&table), ["region", "month", "sold"], "{text}");
        assert_eq!((table.rows.len(), kinds(&table)[2]), (2, Kind::Number), "{text}");
        assert!(table.remarks()[0].ends_with("left out above the table"), "{:?}", table.remarks());
    }
    let table = read("Sales 2024\nregion,month,sold\nNorth,1,10\n");
    assert_eq!((table.rows[0].number, table.remarks()), (3, vec!["1 row is left out above the table".to_owned()]));
    // One column, two columns, and a header with a gap have no title.
    assert_eq!(heads(&read("one\nx\ny\n")), ["one"]);
    assert_eq!(heads(&read("one\na, b\nc, d\n")), ["one"]);
    assert_eq!(heads(&read("one,\na,b\n")), ["one", "column 2"]);
    assert_eq!(heads(&read(",a,\n,1,\n")), ["column 1", "a", "column 3"]);
}

#[test]
fn a_sheet_without_a_header_has_letters_and_keeps_its_first_row() {
    for text in [
        "10,2024-01-31,5.5\n20,2024-02-01,6.5\n",
        "1;31.01.2024;2,50 \u{20ac}\n2;01.02.2024;3,00 \u{20ac}\n",
        "1,2,3\n4,5,6\n",
        "7,n/a,\n8,1,2\n",
    ] {
        let table = read(text);
        assert_eq!((heads(&table), table.rows.len()), (vec!["A", "B", "C"], 2), "{text}");
        assert_eq!(table.rows[0].number, 1);
        assert!(table.remarks()[0].contains("no header"), "{:?}", table.remarks());
    }
    // Years, numbers from 0 and the names of a cross table are names.
    for text in ["2023,2024\n1,2\n", "0,1,2\n5,5,5\n", ",2024-01-01,2024-02-01\nx,1,2\n", "n/a,-\n1,2\n", "a,1\nb,2\n"]
    {
        let table = read(text);
        assert_eq!((table.rows.len(), table.remarks().is_empty()), (1, true), "{text}");
    }
    assert_eq!([0, 25, 26, 701, 702].map(letters), ["A", "Z", "AA", "ZZ", "AAA"]);
    let number = |n: i64| Value::Number(n.into());
    let row = |cells: [Value; 3]| cells.to_vec();
    let title = row([Value::text("Sales"), Value::Empty, Value::Empty]);
    let data = row([number(10), number(3), Value::Empty]);
    let texts = ["a", "b", "10"].map(Value::text).to_vec();
    let top = |rows: &[Vec<Value>]| {
        let Top { above, titles, named } = Top::of(rows, true);
        (above, titles, named)
    };
    assert_eq!(top(&[title.clone(), texts, data.clone()]), (1, 1, true));
    assert_eq!(top(&[data, title]), (0, 0, false));
    assert_eq!(top(&[]), (0, 0, true));
}

#[test]
fn what_is_no_table_is_refused_with_a_reason() {
    let wrong =
        |text: &str| load(Path::new("/nowhere"), Source { text: Some(text), ..Source::default() }).unwrap_err().message;
    assert_eq!(wrong(""), "`sheet` is empty");
    assert_eq!(wrong("a,b\n1,2,3\n"), "row 2 of `sheet` has 3 cells, and the header 2");
    assert!(wrong(&format!("a,b\n{}", "1,2\n".repeat(250_001))).contains("400000 cells"));
    assert!(wrong(&",".repeat(1_001)).contains("empty"));
    assert!(wrong(&"a,".repeat(1_001)).contains("1002 columns"));
    for (path, word) in
        [("../x.csv", "granted folder"), ("/etc/passwd", "granted folder"), ("none.csv", "cannot be read")]
    {
        let failure = at(path).unwrap_err();
        assert!(failure.message.contains(word), "{failure:?}");
    }
    assert!(at("none.csv").unwrap_err().hint.unwrap().contains("orders.csv"));
    let both = Source { text: Some("a"), path: Some("b"), ..Source::default() };
    assert!(load(&data(), both).is_err() && load(&data(), Source::default()).is_err());
}

#[test]
fn a_workbook_and_its_files_say_the_same() {
    let mut book = at("shop.xlsx").unwrap();
    let orders = at("orders.csv").unwrap().remove(0);
    assert_eq!(book.len(), 2);
    // A workbook knows a number from a text; what it holds is the same.
    assert_eq!(kinds(&book[0]), kinds(&orders));
    assert_eq!(book[0].rows, orders.rows);
    assert_eq!(book[0].columns, orders.columns);
    assert_eq!(book.remove(1).rows, at("customers.csv").unwrap().remove(0).rows);

    let source = Source { path: Some("shop.xlsx"), sheet: Some("customers"), ..Source::default() };
    assert_eq!(load(&data(), source).unwrap()[0].name, "customers");
    let source = Source { sheet: Some("nothing"), ..source };
    assert!(load(&data(), source).unwrap_err().hint.unwrap().contains("`orders`, `customers`"));
    let with = ["customers.csv".to_owned(), "customers.csv".to_owned()];
    let source = Source { path: Some("orders.csv"), with: &with, ..Source::default() };
    let names: Vec<_> = load(&data(), source).unwrap().into_iter().map(|table| table.name).collect();
    assert_eq!(names, ["orders", "customers", "customers.csv/customers"]);
}

#[test]
fn what_is_no_workbook_is_refused() {
    let folder = std::env::temp_dir().join(format!("sheet-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let whole = std::fs::read(data().join("shop.xlsx")).unwrap();
    for (name, bytes) in [("text.xlsx", &b"no zip"[..]), ("half.xlsx", &whole[..whole.len() / 2]), ("none.xlsx", b"")] {
        std::fs::write(folder.join(name), bytes).unwrap();
        let failure = load(&folder, Source { path: Some(name), ..Source::default() }).unwrap_err();
        assert!(failure.message.contains("cannot be read as XLSX"), "{failure:?}");
    }
    std::fs::write(folder.join("latin.csv"), b"a\n\xe9\n").unwrap();
    assert!(load(&folder, Source { path: Some("latin.csv"), ..Source::default() }).is_err());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn advice_says_how_text_can_be_read() {
    let table = read("price;when;zip;name\n1.234,50 €;31.01.2024;007;a\n0,99 €;01.02.2024;101;b\n");
    assert_eq!(advice(&table, 0).unwrap(), "holds numbers as people write them: number([price], ',')");
    assert_eq!(advice(&table, 1).unwrap(), "holds dates: date([when], 'DD.MM.YYYY')");
    assert_eq!((advice(&table, 2), advice(&table, 3)), (None, None));
    // A gap hides none of that.
    let table = read("price;when\n1.234,50 €;31.01.2024\nn/a;-\n0,99 €;01.02.2024\n");
    let gaps = ", where `n/a`, `-` and the like are empty then";
    assert_eq!(advice(&table, 0).unwrap(), format!("holds numbers as people write them: number([price], ','){gaps}"));
    assert_eq!(advice(&table, 1).unwrap(), format!("holds dates: date([when], 'DD.MM.YYYY'){gaps}"));
    // Either mark, and either order of day and month, could be meant: that is said, not decided.
    let table = read("n;d\n1,234;03/04/2024\n2,345;05/06/2024\n");
    assert!(advice(&table, 0).unwrap().contains("whichever is its decimal mark"));
    assert!(advice(&table, 1).unwrap().contains("'DD/MM/YYYY') or date([d], 'MM/DD/YYYY')"));
}
