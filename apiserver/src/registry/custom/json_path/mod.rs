//! The `JSONPath`s of definitions, as `client-go` reads them and walks by them: what kubectl's `-o jsonpath` knows, loops aside.

mod compare;
mod parse;

use compare::Operator;
use serde_json::Value;

/// A path that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    /// All items, or all values of a map.
    All,
    /// What holds something, at any depth.
    Deep,
    Slice(Slice),
    Filter {
        left: Vec<Step>,
        /// With what the left side is compared; `None` where it has to be there alone.
        right: Option<(Operator, Vec<Step>)>,
    },
    /// What several paths lead to, one after the other.
    Union(Vec<Vec<Step>>),
    Literal(Value),
}

/// Items of a list. Numbers below zero are counted from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slice {
    from: i64,
    to: To,
    step: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    /// `[2]`: one item.
    One,
    /// `[2:]`
    End,
    /// `[2:4]`
    Before(i64),
}

/// Most values that one walk may come by: paths that look at all depths several times multiply them.
const VALUES_MAX: usize = 100_000;

/// A path that leads nowhere in an object, by a list's end or to what can't be compared: there is no result then at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Astray;

type Found<'v> = Result<Vec<&'v Value>, Astray>;

impl JsonPath {
    /// The values that the path leads to.
    ///
    /// # Errors
    /// The path does not fit the object. A field that is missing is no error.
    pub fn find<'v>(&'v self, object: &'v Value) -> Found<'v> {
        walk(&self.steps, vec![object], &mut { VALUES_MAX })
    }
}

fn walk<'v>(steps: &'v [Step], from: Vec<&'v Value>, budget: &mut usize) -> Found<'v> {
    steps.iter().try_fold(from, |values, step| {
        // Before the step: looking is work as well, and what is found takes memory.
        spend(budget, values.len())?;
        step.of(values, budget)
    })
}

fn spend(budget: &mut usize, values: usize) -> Result<(), Astray> {
    *budget = budget.checked_sub(values).ok_or(Astray)?;
    Ok(())
}

impl Step {
    fn of<'v>(&'v self, values: Vec<&'v Value>, budget: &mut usize) -> Found<'v> {
        let mut found = Vec::new();
        match self {
            Self::Field(name) => {
                found.extend(values.into_iter().filter_map(|value| value.as_object()?.get(name)));
            }
            Self::All => {
                for value in values {
                    let held = inside(value);
                    spend(budget, held.len())?;
                    found.extend(held);
                }
            }
            Self::Deep => values.into_iter().try_for_each(|value| deep(value, &mut found, budget))?,
            Self::Slice(slice) => {
                for value in values.into_iter().filter(|value| !value.is_null()) {
                    let before = found.len();
                    slice.of(value.as_array().ok_or(Astray)?, &mut found)?;
                    spend(budget, found.len() - before)?;
                }
            }
            Self::Filter { left, right } => {
                for value in values {
                    for item in value.as_array().ok_or(Astray)? {
                        if passes(item, left, right.as_ref(), budget)? {
                            found.push(item);
                        }
                    }
                }
            }
            Self::Union(paths) => {
                for path in paths {
                    spend(budget, values.len() + 1)?;
                    found.extend(walk(path, values.clone(), budget)?);
                }
            }
            Self::Literal(literal) => found.extend(values.iter().map(|_| literal)),
        }
        Ok(found)
    }
}

fn inside(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    }
}

/// The value where it holds something, and the same of what it holds.
fn deep<'v>(value: &'v Value, found: &mut Vec<&'v Value>, budget: &mut usize) -> Result<(), Astray> {
    let held = inside(value);
    // Upstream takes a text for a list of its bytes here.
    let holds = !held.is_empty() || value.as_str().is_some_and(|text| !text.is_empty());
    if holds {
        spend(budget, 1)?;
        found.push(value);
    }
    held.into_iter().try_for_each(|value| deep(value, found, budget))
}

fn passes<'v>(
    item: &'v Value,
    left: &'v [Step],
    right: Option<&'v (Operator, Vec<Step>)>,
    budget: &mut usize,
) -> Result<bool, Astray> {
    spend(budget, 1)?;
    let found = walk(left, vec![item], budget);
    let Some((operator, right)) = right else {
        return Ok(found.is_ok_and(|found| !found.is_empty()));
    };
    match (found?.as_slice(), walk(right, vec![item], budget)?.as_slice()) {
        ([], _) | ([_], []) => Ok(false),
        ([one], [other]) => operator.holds(one, other),
        _ => Err(Astray),
    }
}

impl Slice {
    fn of<'v>(self, items: &'v [Value], found: &mut Vec<&'v Value>) -> Result<(), Astray> {
        let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let from_end = |at: i64| if at < 0 { at + length } else { at };
        let from = from_end(self.from);
        let to = match self.to {
            To::One => from.saturating_add(1),
            To::End => length,
            To::Before(at) => from_end(at),
        };
        if from == to {
            return Ok(());
        }
        if from < 0 || from >= length || to < from || to > length || self.step.is_some_and(|step| step <= 0) {
            return Err(Astray);
        }
        let at = |at: i64| usize::try_from(at).map_err(|_| Astray);
        found.extend(items[at(from)?..at(to)?].iter().step_by(at(self.step.unwrap_or(1))?));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Astray, JsonPath};
    use serde_json::{Value, json};

    fn found(path: &str, object: &Value) -> Result<Value, Astray> {
        JsonPath::parse(path).unwrap().find(object).map(|found| json!(found))
    }

    #[test]
    fn paths_lead_to_values() {
        let object = json!({
            "spec": {"a.b": 1, "list": [{"name": "x", "v": 1}, {"name": "y", "v": 2}, {"name": "z"}], "texts": ["a", "b", "c"]},
            "status": {"ok": true, "none": null},
        });
        for (path, wanted) in [
            (".status.ok", json!([true])),
            (r".spec.a\.b", json!([1])),
            (r".spec['a\.b']", json!([1])),
            (".spec['a.b']", json!([])),
            (".spec['texts'][1]", json!(["b"])),
            (".spec.list[1].v", json!([2])),
            (".spec.list[-1].name", json!(["z"])),
            (".spec.list[*].v", json!([1, 2])),
            (".spec.texts[0:2]", json!(["a", "b"])),
            (".spec.texts[-2:]", json!(["b", "c"])),
            (".spec.texts[::2]", json!(["a", "c"])),
            (".spec.texts[2,0]", json!(["c", "a"])),
            (".spec.texts.[0]", json!([])),
            (r#".spec.texts[?(@=="b")]"#, json!(["b"])),
            (r#".spec.list[?(@.name=="y")].v"#, json!([2])),
            (".spec.list[?(@.name == 'y')].v", json!([2])),
            (".spec.list[?(@.v!=2)].name", json!(["x"])),
            (".spec.list[?(@.v>=2)].name", json!(["y"])),
            (".spec.list[?(@.v)].name", json!(["x", "y"])),
            (".spec..name", json!(["x", "y", "z"])),
            (".status.none", json!([null])),
            (".status.none[0]", json!([])),
            (".spec.none.at.all", json!([])),
        ] {
            assert_eq!(found(path, &object), Ok(wanted), "{path}");
        }
        for astray in [".spec.texts[3]", ".spec[0]", ".spec.list[?(@.v=='y')]", ".status.none[?(@.a==1)]", ".spec word"]
        {
            assert_eq!(found(astray, &object), Err(Astray), "{astray}");
        }
    }

    #[test]
    fn a_path_that_multiplies_values_ends() {
        let deep = (0..100).fold(json!(1), |inner, _| json!({"a": inner, "b": [1]}));
        assert_eq!(found(&"..a".repeat(12), &deep), Err(Astray));
        assert_eq!(found("..a", &deep).unwrap().as_array().unwrap().len(), 100);
        let long = json!({"list": vec![1; 1_000], "nothing": vec![Value::Null; 1_000]});
        for path in [format!("[{}'list'][*]", "'list',".repeat(900)), format!(".nothing[*][{}0]", "0,".repeat(900))] {
            assert_eq!(found(&path, &long), Err(Astray), "{}", path.len());
        }
    }
}
