//! Settings as JSON Schema.

use serde_json::{Map, Value, json};

use crate::{Kind, Method, OptionInfo, all_options, default_value};

/// The JSON Schema (draft 2020-12) of settings in which every option may be absent, for clients, forms and documents.
///
/// Annotations say what the standard has no word for: of an option `x-order`, its place in the table, `x-group`, `x-heading`, `x-kind`,
/// which tells how it is written as text, `x-flag` on a command line, `x-default`, the default in words, and
/// `x-enum-descriptions`; of the whole `x-methods`, each with its title, the options that it reads and not every other does, and its own defaults.
pub fn json_schema() -> Value {
    let mut all = Map::new();
    for (order, (group, option)) in all_options().enumerate() {
        let mut schema = option.schema();
        schema.insert("x-order".to_owned(), json!(order));
        if let Some(default) = default_value(group, option.name) {
            schema.insert("default".to_owned(), default);
        }
        let members = match group {
            None => &mut all,
            Some(group) => {
                let group = all.entry(group).or_insert_with(|| object(option.group.title(), &Map::new()));
                group["properties"].as_object_mut().unwrap_or_else(|| unreachable!("an object"))
            }
        };
        members.insert(option.name.to_owned(), Value::Object(schema));
    }
    let mut schema = object("Settings", &all);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    let method = |method: &Method| {
        json!({
            "name": method,
            "title": method.title(),
            "guides": method.guides(),
            "options": method.own_options(),
            "defaults": method.defaults(),
        })
    };
    schema["x-methods"] = Method::ALL.iter().map(method).collect();
    schema
}

fn object(title: &str, properties: &Map<String, Value>) -> Value {
    json!({ "type": "object", "title": title, "properties": properties, "additionalProperties": false })
}

impl OptionInfo {
    /// The documentation as one text.
    pub fn help_text(&self) -> String {
        self.help.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// The JSON Schema of this option's values.
    fn schema(&self) -> Map<String, Value> {
        let (kind, Value::Object(mut schema)) = self.kind.schema() else { unreachable!("a schema is an object") };
        let mut add = |key: &str, value: Value| schema.insert(key.to_owned(), value);
        add("title", json!(self.label));
        add("description", json!(self.help_text()));
        add("x-group", json!(self.group));
        add("x-heading", json!(self.heading()));
        add("x-kind", json!(kind));
        add("x-flag", json!(self.flag()));
        if let Some(text) = self.default_text {
            add("x-default", json!(text));
        }
        if let Some([min, max]) = self.range {
            for (key, bound) in [(if self.above { "exclusiveMinimum" } else { "minimum" }, min), ("maximum", max)] {
                if bound.abs() < f64::MAX {
                    // A whole number is written as one.
                    add(key, if bound.fract() == 0.0 { json!(bound as i64) } else { json!(bound) });
                }
            }
        }
        schema
    }
}

impl Kind {
    /// Its name in schemas, and the schema of its values.
    fn schema(self) -> (&'static str, Value) {
        const STEP: &str = r"^([0-9]+|([0-9]+\.?[0-9]*|\.[0-9]+)%)$";
        let list = |items: Value| json!({ "type": "array", "items": items });
        let two = |items: Value| json!({ "type": "array", "items": items, "minItems": 2, "maxItems": 2 });
        let file = |more: &[(&str, &str)]| {
            let all = [("name", "string"), ("sha256", "string")];
            let members = all.iter().chain(more).map(|(name, kind)| ((*name).to_owned(), json!({ "type": kind })));
            let mut file = object("File", &members.collect());
            file["required"] = json!(["name"]);
            file
        };
        match self {
            Self::Text => ("text", json!({ "type": "string" })),
            Self::Switch => ("switch", json!({ "type": "boolean" })),
            Self::Whole => ("whole", json!({ "type": "integer", "minimum": 0 })),
            Self::Number => ("number", json!({ "type": "number" })),
            Self::Pair => ("pair", two(json!({ "type": "number" }))),
            Self::Choice(choices) => {
                let names: Vec<_> = choices.iter().map(|choice| choice.name).collect();
                let help: Vec<_> = choices.iter().map(|choice| choice.help.trim()).collect();
                ("choice", json!({ "type": "string", "enum": names, "x-enum-descriptions": help }))
            }
            Self::Words => ("words", list(json!({ "type": "string" }))),
            Self::Indices => ("indices", list(json!({ "type": "integer", "minimum": 0 }))),
            Self::Resolution => ("resolution", two(json!({ "type": "integer", "minimum": 0 }))),
            Self::Step => ("step", json!({ "type": ["integer", "string"], "minimum": 0, "pattern": STEP })),
            Self::Thresholds => {
                let steps = json!({ "type": "string", "pattern": STEP });
                let numbers = json!({ "type": "number" });
                let schema = json!({ "type": "object", "propertyNames": steps, "additionalProperties": numbers });
                ("thresholds", schema)
            }
            Self::File => ("file", file(&[])),
            Self::Files => ("files", list(file(&[]))),
            Self::Loras => {
                let own = [("strength", "number"), ("unet_strength", "number"), ("config_sha256", "string")];
                ("loras", list(file(&own)))
            }
            Self::Embeddings => ("embeddings", list(file(&[("token", "string")]))),
            Self::InitialNoise => {
                ("initial_noise", json!({ "type": "string", "pattern": "^(seed|initno|best:[1-9][0-9]*)$" }))
            }
            Self::Pairs => ("pairs", list(json!({ "type": "string", "pattern": "[^:]:[^:]" }))),
            Self::Groups => ("groups", list(json!({ "type": "string", "minLength": 1 }))),
            Self::Boxes => ("boxes", list(json!({ "type": "string", "pattern": ":[^,]+,[^,]+,[^,]+,[^,]+$" }))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_says_what_the_table_says() {
        let schema = json_schema();
        let steps = &schema["properties"]["steps"];
        assert_eq!(
            (
                &steps["type"],
                &steps["minimum"],
                &steps["maximum"],
                &steps["default"],
                &steps["title"],
                &steps["x-group"]
            ),
            (&json!("integer"), &json!(1), &json!(1_000_000), &json!(50), &json!("Steps"), &json!("sampling"))
        );
        assert_eq!((&steps["x-default"], &steps["x-flag"]), (&json!("the model's, or 50"), &json!("steps")));
        let strength = &schema["properties"]["strength"];
        assert_eq!((&strength["exclusiveMinimum"], &strength["minimum"]), (&json!(0), &Value::Null));
        let scheduler = &schema["properties"]["scheduler"];
        assert_eq!(scheduler["enum"][4], "euler-a");
        assert_eq!(
            scheduler["enum"].as_array().map(Vec::len),
            scheduler["x-enum-descriptions"].as_array().map(Vec::len)
        );
        let group = &schema["properties"]["attend_and_excite"];
        assert_eq!((&group["title"], &group["additionalProperties"]), (&json!("Attend-and-Excite"), &json!(false)));
        assert_eq!(group["properties"]["max_iter_to_alter"]["default"], "50%");
        assert_eq!(schema["properties"]["temperature"]["default"], 0.5);
        let methods = &schema["x-methods"];
        assert!(methods[0]["options"].as_array().unwrap().contains(&json!("thresholds")));
        assert_eq!((&methods[1]["options"], &methods[1]["guides"]), (&json!([]), &json!(false)));
    }

    /// A form shows all options under their own names.
    #[test]
    fn every_option_has_a_schema_and_a_name_of_its_own() {
        let schema = json_schema();
        let mut names = std::collections::BTreeSet::new();
        for (group, option) in all_options() {
            let members = group.map_or(&schema["properties"], |group| &schema["properties"][group]["properties"]);
            assert_eq!(members[option.name]["title"], option.label, "{}", option.name);
            assert!(names.insert(option.name), "{} is there twice", option.name);
        }
    }

    #[test]
    fn every_default_is_of_its_type() {
        for (group, option) in all_options() {
            let schema = json_schema();
            let members = group.map_or(&schema["properties"], |group| &schema["properties"][group]["properties"]);
            let default = &members[option.name]["default"];
            assert!(default.is_null() || option.check(default).is_ok(), "{}: {default}", option.name);
        }
    }
}
