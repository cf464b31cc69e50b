use ae_server::EngineError;
use ae_settings::{FileRef, Overrides, Settings};
use serde_json::Value;

/// Refuses what a request asks for and the studio cannot do; `shared` is what every model was loaded with.
pub(super) fn check(given: &Overrides, shared: &Overrides) -> Result<(), EngineError> {
    let refuse = |field: &str, reason: &str| Err(EngineError::refused(field, format!("{field} {reason}")));
    let mut loaded = Settings::default();
    loaded.apply(shared);
    let (given, loaded) = (given.to_json(), loaded.to_json());
    for field in ["dtype", "variant", "vae", "loras", "embeddings", "prediction_type"] {
        let Some(given) = given.get(field) else { continue };
        let loaded = loaded.get(field).unwrap_or(&Value::Null);
        if base_names(given) != base_names(loaded) {
            return refuse(field, &format!("is {given}: the studio was started with {loaded}"));
        }
    }
    Ok(())
}

/// Files by their base names alone.
fn base_names(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(base_names).collect(),
        Value::Object(file) => {
            let mut file = file.clone();
            file.retain(|field, _| !matches!(field.as_str(), "sha256" | "config_sha256"));
            let name = file.get("name").and_then(Value::as_str).map(|name| FileRef::new(name).base_name().to_owned());
            file.insert("name".to_owned(), Value::from(name));
            Value::Object(file)
        }
        other => other.clone(),
    }
}
