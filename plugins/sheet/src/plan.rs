//! A plan: what a model writes, and what `run` is given.

use ringfence_skill::prelude::*;
use schemars::Schema;
use serde_json::Value;

/// Most steps of a plan.
pub const MOST_STEPS: usize = 40;

/// Steps that make one table of the sheets, and how to draw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What the resulting table shows, in one sentence.
    #[serde(default)]
    pub title: String,
    /// The steps in their order. Each works on the table that the one before gave; the first on the first sheet.
    pub steps: Vec<Step>,
    /// A chart of the resulting table, or null.
    #[serde(default)]
    pub chart: Option<Chart>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum Step {
    /// Keeps the rows for which a condition holds.
    Filter {
        /// A formula that is true or false.
        #[serde(rename = "where")]
        condition: String,
    },
    /// Keeps these columns, in this order.
    Select { columns: Vec<String> },
    /// Adds a column, or replaces one.
    Derive {
        /// The column's name.
        column: String,
        /// What each row holds there.
        formula: String,
    },
    /// Makes one row of all rows that are alike in some columns; of all rows where `by` is empty.
    Group {
        by: Vec<String>,
        /// The other columns of the result.
        aggregates: Vec<Aggregate>,
    },
    /// Orders the rows. Empty cells come last.
    Sort { by: Vec<Order> },
    /// Keeps the first rows.
    Limit { rows: u32 },
    /// Adds the columns of another sheet, where a column here equals one there.
    Join {
        /// The other sheet.
        sheet: String,
        /// The column of this table.
        left: String,
        /// The column of the other sheet.
        right: String,
        /// `inner` drops rows without a match, `left` keeps them.
        kind: JoinKind,
    },
    /// Makes a column of each value of a column: a cross table.
    Pivot {
        /// What the rows stand for.
        rows: Vec<String>,
        /// The column whose values become columns.
        columns: String,
        /// How the rows of one cell are put together.
        function: Function,
        /// A formula: what is put together. `*` to count rows.
        of: String,
    },
}

/// A column of a grouped table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aggregate {
    /// The new column's name.
    pub column: String,
    pub function: Function,
    /// A formula, often a column alone: what is put together. `*` to count rows.
    pub of: String,
}

/// How many values become one. Empty cells do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    Count,
    CountDistinct,
    Sum,
    Average,
    Median,
    Min,
    Max,
}

/// A column to sort by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub column: String,
    #[serde(default)]
    pub order: Direction,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    #[default]
    Ascending,
    Descending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum JoinKind {
    Inner,
    Left,
}

/// How a table is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    pub kind: ChartKind,
    /// The column along the horizontal axis.
    pub x: String,
    /// Columns of numbers, drawn one beside the other.
    pub y: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChartKind {
    Bar,
    Line,
}

impl Function {
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::CountDistinct => "count of distinct values",
            Self::Sum => "sum",
            Self::Average => "average",
            Self::Median => "median",
            Self::Min => "least",
            Self::Max => "greatest",
        }
    }
}

/// The schema of a plan as models are given it: with no word that a provider's strict mode does not take, and with everything
/// required, as that mode insists.
pub fn schema() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<Plan>();
    strict(&mut schema);
    schema.to_value()
}

fn strict(schema: &mut Schema) {
    schemars::transform::transform_subschemas(&mut |inner: &mut Schema| strict(inner), schema);
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(variants) = object.remove("oneOf") {
        object.insert("anyOf".into(), variants);
    }
    for word in ["format", "minimum", "default"] {
        object.remove(word);
    }
    if let Some(Value::Object(properties)) = object.get("properties") {
        let all: Vec<_> = properties.keys().cloned().map(Value::from).collect();
        object.insert("required".into(), all.into());
        object.insert("additionalProperties".into(), false.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_keeps_to_what_strict_providers_take() {
        const TAKEN: [&str; 10] = [
            "type",
            "description",
            "title",
            "enum",
            "const",
            "required",
            "additionalProperties",
            "properties",
            "items",
            "anyOf",
        ];
        fn check(schema: &Value) {
            let object = schema.as_object().unwrap();
            for (word, value) in object {
                assert!(TAKEN.contains(&word.as_str()), "{word}: {schema}");
                match word.as_str() {
                    "properties" => value.as_object().unwrap().values().for_each(check),
                    "items" => check(value),
                    "anyOf" => value.as_array().unwrap().iter().for_each(check),
                    _ => {}
                }
            }
            if let Some(properties) = object.get("properties") {
                assert_eq!(properties.as_object().unwrap().len(), object["required"].as_array().unwrap().len());
                assert_eq!(object["additionalProperties"], false);
            }
        }
        let schema = schema();
        check(&schema);
        assert!(schema.to_string().contains(r#""const":"pivot""#), "{schema}");
    }

    #[test]
    fn plans_are_read_as_they_are_written() {
        let plan = serde_json::json!({ "steps": [
            { "op": "filter", "where": "a > 1" },
            { "op": "sort", "by": [{ "column": "a" }] },
            { "op": "join", "sheet": "b", "left": "x", "right": "y", "kind": "left" },
        ] });
        let plan: Plan = serde_json::from_value(plan).unwrap();
        let written = serde_json::to_value(&plan).unwrap();
        assert_eq!(serde_json::from_value::<Plan>(written).unwrap(), plan);
        assert!(serde_json::from_str::<Plan>(r#"{"steps":[{"op":"drop"}]}"#).is_err());
    }
}
