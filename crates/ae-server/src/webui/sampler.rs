//! Samplers and the spreads of their noise levels, by that program's names.

use ae_settings::{SchedulerKind, SigmaSpacing};
use axum::Json;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::field::Values;
use crate::error::ApiError;

/// A sampler.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sampler {
    name: &'static str,
    aliases: Vec<&'static str>,
    #[schema(value_type = Object)]
    options: Value,
}

/// How the noise levels are spread.
#[derive(Serialize, ToSchema)]
pub(crate) struct Scheduler {
    name: &'static str,
    label: String,
    aliases: Option<Vec<String>>,
    default_rho: f64,
    need_inner_model: bool,
}

/// The samplers that can be chosen.
#[utoipa::path(get, path = "/sdapi/v1/samplers", responses((status = OK, body = Vec<Sampler>)))]
pub(crate) async fn samplers() -> Json<Vec<Sampler>> {
    let sampler =
        |kind: &SchedulerKind| Sampler { name: kind.a1111_name(), aliases: vec![kind.name()], options: json!({}) };
    Json(SchedulerKind::ALL.iter().map(sampler).collect())
}

/// The spreads of noise levels that can be chosen.
#[utoipa::path(get, path = "/sdapi/v1/schedulers", responses((status = OK, body = Vec<Scheduler>)))]
pub(crate) async fn schedulers() -> Json<Vec<Scheduler>> {
    let names = std::iter::once("automatic").chain(known().map(|spacing| spacing.name()));
    let scheduler = |name: &'static str| Scheduler {
        name,
        label: name[..1].to_uppercase() + &name[1..],
        aliases: None,
        default_rho: if name == "karras" { 7.0 } else { -1.0 },
        need_inner_model: false,
    };
    Json(names.map(scheduler).collect())
}

/// That program's beta spreads the timesteps, ours the noise levels.
fn known() -> impl Iterator<Item = &'static SigmaSpacing> {
    SigmaSpacing::ALL.iter().filter(|spacing| **spacing != SigmaSpacing::Beta)
}

/// Puts sampler, spread and eta into a request, and says what has no effect.
///
/// # Errors
///
/// Names the field that asks for what is not there.
pub(super) fn apply(
    values: &Values,
    request: &mut Map<String, Value>,
    notes: &mut Vec<String>,
) -> Result<(), ApiError> {
    let field = if values.text("sampler_name").is_some() { "sampler_name" } else { "sampler_index" };
    let sampler = values.text(field).map(|name| of_name(field, name)).transpose()?;
    let kind = sampler.map(|(kind, _)| kind);
    let name = values.text("scheduler").unwrap_or_default();
    let mut sigmas = spread(name)?.or(sampler.and_then(|(_, sigmas)| sigmas));
    if let (Some(kind), Some(spread)) = (kind, sigmas)
        && !SigmaSpacing::ALL.iter().any(|spread| kind.has_sigmas(*spread))
    {
        notes.push(format!("scheduler {spread} has no effect with {}, which has no noise levels", kind.a1111_name()));
        sigmas = None;
    }
    for (option, value) in [("scheduler", json!(kind)), ("sigmas", json!(sigmas))] {
        if !value.is_null() {
            request.insert(option.to_owned(), value);
        }
    }
    let Some(eta) = values.number("eta") else { return Ok(()) };
    let draws = |eta| kind.is_some_and(|kind| kind.draws_noise(eta));
    if draws(1.0) && !draws(0.0) {
        request.insert("eta".to_owned(), json!(eta));
        return Ok(());
    }
    let reason = match kind {
        Some(kind) if draws(0.0) => format!("{} draws its noise with 1", kind.a1111_name()),
        Some(_) => return Ok(()),
        None => "name the sampler in sampler_name that it is for".to_owned(),
    };
    // The values that such clients always send.
    let is = |usual: f64| eta.total_cmp(&usual).is_eq();
    if is(1.0) || kind.is_none() && is(0.0) {
        return Ok(());
    }
    Err(ApiError::of_field("eta", format!("eta is {eta}: {reason}")))
}

/// A sampler, and the spread of its noise levels where that is in its name, as in `DPM++ 2M Karras`.
fn of_name(field: &str, name: &str) -> Result<(SchedulerKind, Option<SigmaSpacing>), ApiError> {
    SchedulerKind::read_with_spread(name).map_err(|error| ApiError::of_field(field, error.to_string()))
}

/// What that program calls a scheduler; none is the model's own.
fn spread(name: &str) -> Result<Option<SigmaSpacing>, ApiError> {
    let name = name.to_lowercase();
    if name.is_empty() || name == "automatic" {
        return Ok(None);
    }
    // Evenly in time is what it calls uniform.
    let wanted = if name == "uniform" { SigmaSpacing::Normal.name() } else { name.as_str() };
    known().find(|spacing| spacing.name() == wanted).map(|spacing| Some(*spacing)).ok_or_else(|| {
        let names: Vec<_> = known().map(|spacing| spacing.name()).collect();
        let message = format!("there is no scheduler '{name}'; choose automatic or one of {}", names.join(", "));
        ApiError::of_field("scheduler", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webui::field::Way;

    fn applied(body: &Value) -> Result<(Map<String, Value>, Vec<String>), String> {
        let values = Values::read(body.as_object().unwrap().clone(), Way::Txt2Img).unwrap();
        let (mut request, mut notes) = (Map::new(), Vec::new());
        apply(&values, &mut request, &mut notes).map_err(|error| error.to_string())?;
        Ok((request, notes))
    }

    fn request(body: &Value) -> Value {
        Value::Object(applied(body).unwrap().0)
    }

    #[test]
    fn a_sampler_may_bring_the_spread_of_its_noise_levels() {
        assert_eq!(request(&json!({ "sampler_name": "PLMS" })), json!({ "scheduler": "pndm" }));
        assert_eq!(request(&json!({ "sampler_index": "dpmpp_2m_sde" })), json!({ "scheduler": "dpmpp-2m-sde" }));
        let karras = json!({ "scheduler": "dpmpp-2m", "sigmas": "karras" });
        assert_eq!(request(&json!({ "sampler_name": "DPM++ 2M Karras", "scheduler": "Automatic" })), karras);
        assert_eq!(request(&json!({ "sampler_name": "DPM++ 2M", "scheduler": "karras" })), karras);
        let uniform = json!({ "sampler_name": "Euler", "sampler_index": "Heun", "scheduler": "Uniform" });
        assert_eq!(request(&uniform), json!({ "scheduler": "euler", "sigmas": "normal" }));
        let error = applied(&json!({ "sampler_name": "DPM++ SDE Karras" })).unwrap_err();
        assert!(error.contains("Brownian tree"), "{error}");
        assert!(applied(&json!({ "scheduler": "Beta" })).unwrap_err().contains("'beta'"));
    }

    #[test]
    fn what_has_no_effect_is_said() {
        let (request, notes) = applied(&json!({ "sampler_name": "DDIM", "scheduler": "Karras" })).unwrap();
        assert_eq!((Value::Object(request), notes.len()), (json!({ "scheduler": "ddim" }), 1));
        assert!(notes[0].starts_with("scheduler karras has no effect with DDIM"), "{notes:?}");
    }

    #[test]
    fn eta_is_for_ddim_and_otherwise_what_clients_always_send() {
        assert_eq!(request(&json!({ "sampler_name": "DDIM", "eta": 0.5 })), json!({ "scheduler": "ddim", "eta": 0.5 }));
        assert_eq!(request(&json!({ "sampler_name": "Euler", "eta": 0.5 })), json!({ "scheduler": "euler" }));
        assert_eq!(request(&json!({ "sampler_name": "Euler a", "eta": 1 })), json!({ "scheduler": "euler-a" }));
        assert_eq!(request(&json!({ "eta": 0.0 })), json!({}));
        for refused in [json!({ "sampler_name": "Euler a", "eta": 0.5 }), json!({ "eta": 0.5 })] {
            assert!(applied(&refused).unwrap_err().starts_with("eta is 0.5"), "{refused}");
        }
    }
}
