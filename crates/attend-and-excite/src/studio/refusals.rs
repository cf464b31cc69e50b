use ae_server::EngineError;
use ae_settings::{Overrides, Settings};
use serde_json::Value;

/// Refuses what a request asks for and the studio cannot do; `loaded` is what every model is loaded with.
pub(super) fn check(given: &Overrides, loaded: &Settings) -> Result<(), EngineError> {
    let (given, loaded) = (given.to_json(), loaded.to_json());
    for field in ["dtype", "variant", "prediction_type"] {
        let Some(given) = given.get(field) else { continue };
        let loaded = loaded.get(field).unwrap_or(&Value::Null);
        if given != loaded {
            let message = format!("{field} is {given}: the studio was started with {loaded}");
            return Err(EngineError::refused(field, message));
        }
    }
    Ok(())
}
