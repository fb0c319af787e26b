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
    // Either mark, and either order of day and month, could be meant: that is said, not decided.
    let table = read("n;d\n1,234;03/04/2024\n2,345;05/06/2024\n");
    assert!(advice(&table, 0).unwrap().contains("whichever is its decimal mark"));
    assert!(advice(&table, 1).unwrap().contains("'DD/MM/YYYY') or date([d], 'MM/DD/YYYY')"));
}
