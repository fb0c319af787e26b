//! Markdown or plain text, read as what a summary can be made of: sentences below headings, labelled values, tables, items.
//!
//! Every scan looks a bounded way ahead, so reading is linear in the text.

use unicode_segmentation::UnicodeSegmentation;

/// Longest sentence, in characters. A text without sentence ends is cut into pieces of this size between words.
const MAX_SENTENCE: usize = 500;
/// How far ahead the end of a link, tag or comment is looked for, in bytes.
const LOOKAHEAD: usize = 500;
/// Longest label of a labelled value, in characters and words.
const MAX_LABEL: (usize, usize) = (48, 6);

/// A sentence as it can be shown: without markup.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sentence {
    pub text: String,
    /// Index of the heading above it in [`Document::headings`].
    pub heading: Option<usize>,
    /// First of its paragraph or section.
    pub leads: bool,
}

/// `label: value`, from a line, a list item or a table row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub label: String,
    pub value: String,
    /// The line of the source that says so, unchanged but for blanks at its ends.
    pub line: String,
}

/// What belongs together: a table row, a block between empty lines, a list item with what is indented below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Record {
    pub fields: Vec<Field>,
    pub lists: Vec<List>,
}

/// List items below a label or below another item.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct List {
    /// Empty where the items stand below one that is no label.
    pub label: String,
    pub entries: Vec<Entry>,
}

/// One item of a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// Without markup.
    pub text: String,
    pub fields: Vec<Field>,
    /// The line of the source, as in [`Field`].
    pub line: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    pub headings: Vec<String>,
    pub sentences: Vec<Sentence>,
    pub fields: Vec<Field>,
    /// Lists that have a label.
    pub lists: Vec<List>,
    pub tables: Vec<Vec<Record>>,
    pub blocks: Vec<Record>,
    /// List items: shown text, source line, heading above.
    pub items: Vec<(String, String, Option<usize>)>,
    /// All lines outside of code, unchanged but for blanks at their ends.
    pub lines: Vec<String>,
}

impl Document {
    pub(super) fn read(source: &str) -> Self {
        let mut reader = Reader::default();
        let source = without_comments(source);
        let lines: Vec<&str> = source.lines().collect();
        let mut at = 0;
        while at < lines.len() {
            at += reader.line(&lines[at..]);
        }
        reader.end_block();
        reader.end_table();
        reader.document.at_least_lines();
        reader.document
    }
}

impl Document {
    /// A text without any sentence, such as a table alone, is told by its lines; one of headings by them.
    fn at_least_lines(&mut self) {
        if !self.sentences.is_empty() {
            return;
        }
        let shown = |line: &String| {
            let cells = line.split('|').map(clean).filter(|cell| !cell.is_empty());
            cells.collect::<Vec<_>>().join(", ")
        };
        let lines: Vec<String> = self.lines.iter().map(shown).flat_map(|line| pieces(&line)).collect();
        let texts = if lines.is_empty() { self.headings.clone() } else { lines };
        let texts = texts.into_iter().filter(|text| text.chars().any(char::is_alphanumeric));
        self.sentences = texts.map(|text| Sentence { text, heading: None, leads: false }).collect();
    }
}

#[derive(Default)]
struct Reader {
    document: Document,
    paragraph: String,
    block: Record,
    /// The list that is being read, and how far the line that opened it is indented; None where that line is no item, and the
    /// items may stand as far left as it does.
    list: Option<(List, Option<usize>)>,
    /// The last item outside of such a list, and its indentation.
    item: Option<(Entry, usize)>,
    table: Vec<(Vec<String>, String)>,
    fence: Option<&'static str>,
    after_break: bool,
}

impl Reader {
    /// Takes one line, or two where the second underlines the first. Gives how many.
    fn line(&mut self, lines: &[&str]) -> usize {
        let line = lines[0].trim();
        if self.fenced(line) {
            return 1;
        }
        if line.is_empty() {
            // Between a label and its items there may be an empty line.
            if self.list.as_ref().is_none_or(|(list, _)| !list.entries.is_empty()) {
                self.end_block();
            }
            self.end_table();
            return 1;
        }
        if let Some(heading) = heading(line) {
            self.heading(heading);
            return 1;
        }
        let next = lines.get(1).map_or("", |next| next.trim());
        let underlined = next.len() >= 3 && (next.bytes().all(|b| b == b'=') || next.bytes().all(|b| b == b'-'));
        if underlined && self.paragraph.is_empty() && !line.contains('|') {
            self.heading(line);
            return 2;
        }
        if is_rule(line) || is_reference(line) {
            return 1;
        }
        self.document.lines.push(line.to_owned());
        if let Some(cells) = cells(line) {
            self.end_paragraph();
            if !cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| matches!(c, '-' | ':'))) {
                self.table.push((cells, line.to_owned()));
            }
            self.fields(line);
            return 1;
        }
        self.end_table();
        if !self.listed(line, lines[0]) {
            self.plain(line);
        }
        1
    }

    /// Takes a line that belongs to a list below a label or an item, and opens such a list.
    fn listed(&mut self, line: &str, raw: &str) -> bool {
        let indent = raw.chars().take_while(|c| c.is_whitespace()).map(|c| if c == '\t' { 4 } else { 1 }).sum();
        let found = item(line);
        let text = clean(found.unwrap_or(line));
        if let Some(label) = text.strip_suffix([':', '\u{ff1a}']).filter(|label| is_label(label)) {
            self.end_list();
            self.end_paragraph();
            self.list = Some((List { label: label.to_owned(), entries: Vec::new() }, found.map(|_| indent)));
            return true;
        }
        let Some(shown) = found else {
            self.end_list();
            self.item = None;
            return false;
        };
        let entry = Entry { text, fields: fields(line), line: line.to_owned() };
        if self.list.is_none()
            && let Some((above, outer)) = self.item.take_if(|(_, outer)| *outer < indent)
        {
            // A label of its own would already have begun the record.
            if above.fields.is_empty() {
                self.end_record();
                self.block.fields.push(Field { label: String::new(), value: above.text, line: above.line });
            }
            self.list = Some((List { label: String::new(), entries: Vec::new() }, Some(outer)));
        }
        match &mut self.list {
            Some((list, opened)) if opened.is_none_or(|outer| outer < indent) => {
                self.document.items.push((
                    entry.text.clone(),
                    entry.line.clone(),
                    self.document.headings.len().checked_sub(1),
                ));
                list.entries.push(entry);
                // It is a sentence as well.
                self.end_paragraph();
                self.paragraph.push_str(&clean(shown));
                self.end_paragraph();
                true
            }
            _ => {
                self.end_list();
                self.item = Some((entry, indent));
                false
            }
        }
    }

    fn end_list(&mut self) {
        let Some((list, _)) = self.list.take() else { return };
        if list.entries.is_empty() {
            // No list at all: a line that ends with a colon.
            self.paragraph = format!("{}:", list.label);
            self.end_paragraph();
            return;
        }
        if !list.label.is_empty() {
            self.document.lists.push(list.clone());
        }
        self.block.lists.push(list);
    }

    fn fenced(&mut self, line: &str) -> bool {
        let mark = ["```", "~~~"].into_iter().find(|mark| line.starts_with(mark));
        match (self.fence, mark) {
            (None, Some(mark)) => {
                self.end_paragraph();
                self.fence = Some(mark);
                true
            }
            (Some(open), Some(mark)) if open == mark => {
                self.fence = None;
                true
            }
            (open, _) => open.is_some(),
        }
    }

    fn heading(&mut self, text: &str) {
        self.end_block();
        self.end_table();
        let text = clean(text);
        if !text.is_empty() {
            self.document.headings.push(text);
            self.after_break = true;
        }
    }

    fn plain(&mut self, line: &str) {
        let (line_text, is_item) = match item(line) {
            Some(rest) => (rest, true),
            None => (line.trim_start_matches('>').trim_start(), false),
        };
        // The second line of a sentence may have a colon too.
        let runs_on = !is_item && !self.paragraph.is_empty() && line_text.starts_with(char::is_lowercase);
        let labelled = !runs_on && self.fields(line);
        let text = clean(line_text);
        if text.is_empty() {
            return;
        }
        if is_item {
            self.document.items.push((text.clone(), line.to_owned(), self.document.headings.len().checked_sub(1)));
        }
        if is_item || labelled {
            self.end_paragraph();
        }
        if !self.paragraph.is_empty() {
            self.paragraph.push(' ');
        }
        self.paragraph.push_str(&text);
        if labelled {
            self.end_paragraph();
        }
    }

    fn fields(&mut self, line: &str) -> bool {
        let found = fields(line);
        for field in &found {
            // Where the label with which a record began comes again, the next one begins.
            let begins =
                self.block.fields.first().is_some_and(|first| !first.label.is_empty() && first.label == field.label);
            if begins && self.block.fields.len() + self.block.lists.len() > 1 {
                self.end_record();
            }
            self.block.fields.push(field.clone());
        }
        let any = !found.is_empty();
        self.document.fields.extend(found);
        any
    }

    fn end_paragraph(&mut self) {
        let paragraph = std::mem::take(&mut self.paragraph);
        let heading = self.document.headings.len().checked_sub(1);
        for (at, text) in sentences(&paragraph).into_iter().enumerate() {
            let leads = at == 0 && std::mem::take(&mut self.after_break);
            self.document.sentences.push(Sentence { text, heading, leads });
        }
    }

    fn end_block(&mut self) {
        self.end_paragraph();
        self.end_list();
        self.item = None;
        self.end_record();
    }

    fn end_record(&mut self) {
        let block = std::mem::take(&mut self.block);
        if !block.fields.is_empty() {
            self.document.blocks.push(block);
        }
    }

    fn end_table(&mut self) {
        let rows = std::mem::take(&mut self.table);
        let Some(((header, _), rows)) = rows.split_first().filter(|(_, rows)| !rows.is_empty()) else { return };
        let records: Vec<Record> = rows
            .iter()
            .filter(|(cells, _)| cells.len() == header.len())
            .map(|(cells, line)| {
                let pairs = header.iter().zip(cells).filter(|(label, value)| !label.is_empty() && !value.is_empty());
                let field = |(label, value): (&String, &String)| Field {
                    label: label.clone(),
                    value: value.clone(),
                    line: line.clone(),
                };
                Record { fields: pairs.map(field).collect(), lists: Vec::new() }
            })
            .collect();
        // A table of two columns is as often a list of labelled values.
        if header.len() == 2 {
            for (cells, line) in rows.iter().filter(|(cells, _)| cells.len() == 2 && !cells[0].is_empty()) {
                let field = Field { label: cells[0].clone(), value: cells[1].clone(), line: line.clone() };
                self.document.fields.push(field);
            }
        }
        self.document.tables.push(records);
    }
}

/// Splits into sentences after UAX #29, joins what an abbreviation has torn apart, and cuts what has no end.
pub(super) fn sentences(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut joins = false;
    for piece in text.unicode_sentences() {
        match out.last_mut().filter(|last| joins && last.len() < LOOKAHEAD) {
            Some(last) => last.push_str(piece),
            None => out.push(piece.to_owned()),
        }
        joins = is_abbreviated(piece.trim_end());
    }
    out.iter().flat_map(|sentence| pieces(sentence.trim())).filter(|s| s.chars().any(char::is_alphanumeric)).collect()
}

fn is_abbreviated(piece: &str) -> bool {
    const ABBREVIATIONS: &[&str] = &[
        "e.g.", "i.e.", "Dr.", "Mr.", "Mrs.", "Ms.", "Prof.", "St.", "vs.", "No.", "Nr.", "bzw.", "ca.", "cf.", "Inc.",
        "Ltd.", "Co.", "approx.", "Fig.", "z.", "B.", "d.h.", "Jr.",
    ];
    let last = piece.rsplit(char::is_whitespace).next().unwrap_or_default().trim_start_matches(['(', '"', '[']);
    ABBREVIATIONS.contains(&last)
}

fn pieces(sentence: &str) -> Vec<String> {
    if sentence.chars().nth(MAX_SENTENCE).is_none() {
        return vec![sentence.to_owned()];
    }
    let (mut out, mut piece, mut length) = (Vec::new(), String::new(), 0);
    for word in sentence.split_word_bounds() {
        let size = word.chars().count();
        if length + size > MAX_SENTENCE && length > 0 {
            out.push(std::mem::take(&mut piece).trim().to_owned());
            length = 0;
        }
        // One word longer than a sentence is no word; its beginning stands for it.
        piece.extend(word.chars().take(MAX_SENTENCE));
        length += size;
    }
    out.push(piece.trim().to_owned());
    out
}

/// A line without inline markup: images and tags go, links keep their text, emphasis and code marks go.
pub(super) fn clean(line: &str) -> String {
    clean_at(line, 0)
}

fn clean_at(line: &str, depth: usize) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some((shown, after)) = image(rest).or_else(|| link(rest)).or_else(|| tag(rest)) {
            out.push_str(&if depth < 2 { clean_at(shown, depth + 1) } else { String::new() });
            rest = after;
            continue;
        }
        let after = &rest[c.len_utf8()..];
        let boundary = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        let drops = match c {
            '`' => true,
            '*' | '_' => {
                let doubled = after.starts_with(c) || out.ends_with(c);
                let next = after.trim_start_matches(c).chars().next();
                let opens = boundary(out.chars().next_back()) && next.is_some_and(|c| !c.is_whitespace());
                let closes = boundary(next) && out.chars().next_back().is_some_and(|c| !c.is_whitespace());
                doubled || opens || closes
            }
            _ => false,
        };
        if !drops {
            out.push(c);
        }
        rest = after;
    }
    let out = out.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    out.replace("&amp;", "&").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `![alt](target)`: shown as nothing.
fn image(text: &str) -> Option<(&str, &str)> {
    let (_, after) = link(text.strip_prefix('!')?)?;
    Some(("", after))
}

/// `[text](target)` or `[text][reference]`, shown as its text.
fn link(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('[')?;
    let mut open = 1usize;
    let near = prefix(inner, LOOKAHEAD);
    let end = near.char_indices().find_map(|(at, c)| {
        match c {
            '[' => open += 1,
            ']' => open -= 1,
            _ => {}
        }
        (open == 0).then_some(at)
    })?;
    let (label, after) = (&inner[..end], &inner[end + 1..]);
    let close = match after.chars().next()? {
        '(' => ')',
        '[' => ']',
        _ => return None,
    };
    let target_end = prefix(after, LOOKAHEAD).find(close)?;
    Some((label, &after[target_end + 1..]))
}

/// An HTML tag, shown as nothing; `<https://...>` and `<a@b.c>` as what they hold.
fn tag(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('<')?;
    let first = inner.chars().next()?;
    if !(first.is_ascii_alphabetic() || first == '/' || first == '!') {
        return None;
    }
    let end = prefix(inner, LOOKAHEAD).find('>')?;
    let (held, after) = (&inner[..end], &inner[end + 1..]);
    let address = !held.contains(' ') && (held.contains("://") || held.contains('@'));
    Some((if address { held } else { "" }, after))
}

/// At most `limit` bytes of `text`, whole characters.
fn prefix(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit.min(text.len()))]
}

fn without_comments(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((before, after)) = rest.split_once("<!--") {
        out.push_str(before);
        match after.split_once("-->") {
            Some((_, after)) => rest = after,
            // An unclosed comment is text.
            None => {
                out.push_str(after);
                rest = "";
            }
        }
    }
    out.push_str(rest);
    out
}

fn heading(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    ((1..=6).contains(&level) && rest.starts_with(' ')).then(|| rest.trim().trim_end_matches('#').trim_end())
}

/// What stands behind the mark of a list item.
fn item(line: &str) -> Option<&str> {
    let bullet = ["- ", "* ", "+ ", "\u{2022} ", "\u{2013} "].into_iter().find_map(|mark| line.strip_prefix(mark));
    let rest = bullet.or_else(|| {
        let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = line.len() - rest.len();
        let rest = rest.strip_prefix(['.', ')'])?.strip_prefix(' ')?;
        (1..=3).contains(&digits).then_some(rest)
    })?;
    let rest = rest.trim_start();
    Some(["[ ] ", "[x] ", "[X] "].into_iter().find_map(|mark| rest.strip_prefix(mark)).unwrap_or(rest))
}

fn is_rule(line: &str) -> bool {
    line.len() >= 3 && ["-", "*", "_", "="].iter().any(|mark| line.replace(' ', "").replace(mark, "").is_empty())
}

/// `[label]: target`
fn is_reference(line: &str) -> bool {
    line.starts_with('[') && prefix(line, 200).contains("]: ")
}

/// The cells of a table row: `| a | b |`, or columns at least two blanks or a tab apart.
fn cells(line: &str) -> Option<Vec<String>> {
    if line.starts_with('|') || (line.matches(" | ").count() >= 2) {
        let inner = line.strip_prefix('|').unwrap_or(line);
        let inner = inner.strip_suffix('|').unwrap_or(inner);
        return Some(inner.split('|').map(|cell| clean(cell.trim())).collect());
    }
    let columns = columns(line);
    (columns.len() >= 3 || (columns.len() == 2 && !line.contains(": ")))
        .then(|| columns.iter().map(|c| clean(c)).collect())
}

fn columns(line: &str) -> Vec<&str> {
    line.split('\t').flat_map(|part| part.split("  ")).map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// The labelled values of one line.
fn fields(line: &str) -> Vec<Field> {
    if line.len() > 4 * LOOKAHEAD || line.starts_with('|') {
        return Vec::new();
    }
    let text = item(line).unwrap_or(line);
    let parts = columns(text);
    let found: Vec<_> = parts.iter().flat_map(|part| apart(part)).filter_map(labelled).collect();
    let pairs = if !found.is_empty() {
        found
    } else if let [label, value] = parts[..] {
        is_label(label).then(|| (clean(label.trim_end_matches(['.', ' '])), clean(value))).into_iter().collect()
    } else {
        amount(text).into_iter().collect()
    };
    pairs.into_iter().map(|(label, value)| Field { label, value, line: line.to_owned() }).collect()
}

/// `Label: value, Other label: value`, cut before the second label. Without a label at its begin a line is only a sentence.
fn apart(part: &str) -> Vec<&str> {
    let Some((first, _)) = labelled(part) else { return Vec::new() };
    let capital = |text: &str| text.chars().next().is_some_and(char::is_uppercase);
    // A later label is as short as one word or three, and written like the first one.
    let begins = |rest: &str| {
        prefix(rest, 4 * MAX_LABEL.0).contains([':', '\u{ff1a}'])
            && labelled(rest).is_some_and(|(label, _)| {
                let plain = !label.contains(['.', ',', ';']);
                plain && label.split(' ').count() <= 3 && capital(&label) == capital(&first)
            })
    };
    let (mut out, mut from) = (Vec::new(), 0);
    for (at, mark) in part.char_indices().filter(|(_, c)| matches!(c, ',' | ';' | '|' | '.' | '\u{b7}')) {
        let behind = at + mark.len_utf8();
        let rest = &part[behind..];
        if rest.starts_with(' ') && begins(rest.trim_start()) {
            out.push(&part[from..at]);
            from = behind;
        }
    }
    out.push(&part[from..]);
    out
}

/// `Label: value`
fn labelled(part: &str) -> Option<(String, String)> {
    let (at, colon) = part.char_indices().find(|(_, c)| matches!(c, ':' | '\u{ff1a}'))?;
    let after = &part[at + colon.len_utf8()..];
    let label = clean(&part[..at]);
    // Also `**Label:** value`, where marks stand between colon and blank.
    let spaced = colon == '\u{ff1a}' || after.trim_start_matches(['*', '_']).starts_with(' ');
    let value = clean(after.trim_start_matches(['*', '_']).trim());
    (spaced && is_label(&label) && !value.is_empty()).then_some((label, value))
}

/// `Total 99.50 EUR`: a few words, then a number and hardly anything else.
fn amount(text: &str) -> Option<(String, String)> {
    let at = text.find(|c: char| c.is_ascii_digit() || matches!(c, '$' | '\u{20ac}' | '\u{a3}'))?;
    let (label, value) = (text[..at].trim(), text[at..].trim());
    let short = label.split_whitespace().count() <= 3 && value.split_whitespace().count() <= 2 && !value.ends_with('.');
    (short && is_label(label)).then(|| (clean(label), clean(value)))
}

fn is_label(text: &str) -> bool {
    text.chars().nth(MAX_LABEL.0).is_none()
        && text.split_whitespace().count() <= MAX_LABEL.1
        && text.chars().any(char::is_alphabetic)
        && !text.contains(['{', '}', '"', ';', '?', '!'])
}
