use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use ae_settings::Method;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::errors::OpenAiErrorBody;
use crate::app::{App, random_seed};
use crate::body::JsonBody;
use crate::error::ApiError;
use crate::number::whole;
use crate::{GenerateRequest, Limits};

/// A request for pictures.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct ImagesRequest(Map<String, Value>);

/// Fields of that API that are not ours: those that ask for nothing here with these values, and the reason why others cannot be.
const NEUTRAL: [(&str, &[&str], &str); 8] = [
    ("quality", &["auto", "standard", "medium"], "name `steps` instead"),
    ("style", &["vivid"], "write the style into the prompt"),
    ("background", &["auto", "opaque"], "pictures have no transparency"),
    ("output_format", &["png"], "pictures are PNG files"),
    ("output_compression", &["100"], "pictures are PNG files"),
    ("stream", &["false"], "pictures come when they are finished; /api/jobs/ID/events tells of the steps"),
    ("partial_images", &["0"], "pictures come when they are finished"),
    ("input_fidelity", &[], "there is no initial image here; /api/generate takes one"),
];

/// The pictures.
#[derive(Serialize, ToSchema)]
pub(crate) struct Images {
    /// When they were finished, in seconds since 1970.
    created: u64,
    data: Vec<Image>,
    /// What was not done as it was asked for, and why.
    notes: Vec<String>,
}

/// A picture.
#[derive(Serialize, ToSchema)]
#[schema(as = GeneratedImage)]
pub(crate) struct Image {
    /// A PNG file.
    #[serde(skip_serializing_if = "Option::is_none")]
    b64_json: Option<String>,
    /// Its address on this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The seed that draws it again.
    seed: u64,
}

/// Draws pictures and waits for them.
///
/// Without `subjects` they are the nouns of the prompt; a prompt without a noun is drawn plainly, and `notes` says so.
#[utoipa::path(post, path = "/v1/images/generations", request_body = ImagesRequest,
    responses((status = OK, body = Images), (status = "4XX", body = OpenAiErrorBody)))]
pub(crate) async fn generations(
    State(app): State<App>,
    headers: HeaderMap,
    JsonBody(ImagesRequest(mut body)): JsonBody<ImagesRequest>,
) -> Result<Json<Images>, ApiError> {
    body.retain(|_, value| !value.is_null());
    let as_address = match body.remove("response_format") {
        None => false,
        Some(format) if format == "b64_json" => false,
        Some(format) if format == "url" => true,
        Some(other) => return Err(refused("response_format", &other, "b64_json or url")),
    };
    let request = translate(body, &app.limits)?;
    let mut notes = Vec::new();
    let is_open = request.overrides.method.is_none() && request.overrides.subjects.is_none();
    let job = match app.submit(request.clone()).await {
        Err(ApiError::Invalid { field: Some(field), message }) if is_open && field == "subjects" => {
            notes.push(format!("drawn plainly: {message}"));
            let mut request = request;
            request.overrides.method = Some(Method::StableDiffusion);
            app.submit(request).await?
        }
        submitted => submitted?,
    };
    let finished = app.finish(&job.id).await?;
    notes.extend(finished.job.notes.iter().cloned());
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let address = |id: &String| format!("http://{host}/api/gallery/{id}/picture.png");
    let pictures = finished.base64().into_iter().zip(&finished.job.pictures).zip(finished.seeds());
    let data = pictures.map(|((picture, id), seed)| Image {
        url: as_address.then(|| address(id)),
        b64_json: (!as_address).then_some(picture),
        seed,
    });
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(Json(Images { created, data: data.collect(), notes }))
}

/// A request of that API as one of ours.
fn translate(mut body: Map<String, Value>, limits: &Limits) -> Result<GenerateRequest, ApiError> {
    for harmless in ["user", "moderation"] {
        body.remove(harmless);
    }
    for (name, neutral, reason) in NEUTRAL {
        let Some(value) = body.remove(name) else { continue };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if !neutral.contains(&text.as_str()) {
            return Err(ApiError::of_field(name, format!("{name} is not available here: {reason}")));
        }
    }
    match body.remove("size") {
        None => {}
        Some(size) if size == "auto" => {}
        Some(size) => {
            let sides = size.as_str().and_then(|size| size.split_once('x'));
            let sides =
                sides.and_then(|(width, height)| Some((width.parse::<usize>().ok()?, height.parse::<usize>().ok()?)));
            let Some((width, height)) = sides else { return Err(refused("size", &size, "auto or WIDTHxHEIGHT")) };
            body.insert("width".to_owned(), json!(width));
            body.insert("height".to_owned(), json!(height));
        }
    }
    let count = body.remove("n").unwrap_or(json!(1));
    let number = whole(&count).and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=limits.max_seeds).contains(n));
    let Some(number) = number else { return Err(refused("n", &count, &format!("1 to {}", limits.max_seeds))) };
    let mut request = GenerateRequest::from_json(Value::Object(body))?;
    if request.seeds.len() < number {
        let first = request.seeds.first().copied().map_or_else(random_seed, Ok)?;
        request.seeds = (0..number as u64).map(|index| first.saturating_add(index)).collect();
    }
    Ok(request)
}

fn refused(field: &str, value: &Value, expected: &str) -> ApiError {
    let shown: String = value.to_string().chars().take(60).collect();
    ApiError::of_field(field, format!("{field} is {shown}: expected {expected}"))
}

impl PartialSchema for ImagesRequest {
    fn schema() -> RefOr<Schema> {
        let limits = Limits::default();
        let mut schema = GenerateRequest::json_schema(&limits);
        let own = json!({
            "n": { "type": "integer", "minimum": 1, "maximum": limits.max_seeds, "default": 1, "description": "How many pictures." },
            "size": { "type": "string", "description": "`WIDTHxHEIGHT` or `auto`, the model's own." },
            "response_format": { "type": "string", "enum": ["b64_json", "url"], "default": "b64_json" },
            "user": { "type": "string", "description": "Not looked at." },
            "moderation": { "type": "string", "description": "Not looked at." },
        });
        schema["properties"]
            .as_object_mut()
            .into_iter()
            .for_each(|all| all.extend(own.as_object().cloned().unwrap_or_default()));
        for (name, values, reason) in NEUTRAL {
            let says =
                format!("Only {}: {reason}.", if values.is_empty() { "absent".to_owned() } else { values.join(", ") });
            schema["properties"][name] = json!({ "type": ["boolean", "number", "string"], "description": says });
        }
        schema["title"] = json!("ImagesRequest");
        schema["description"] =
            json!("A request as OpenAI's API takes it; the fields that it does not have are those of `/api/generate`.");
        schema["examples"] =
            json!([{ "prompt": "a cat and a frog", "n": 1, "size": "512x512", "response_format": "b64_json" }]);
        RefOr::T(serde_json::from_value(schema).expect("an OpenAPI schema is a JSON Schema"))
    }
}

impl ToSchema for ImagesRequest {
    fn name() -> Cow<'static, str> {
        "ImagesRequest".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(body: Value) -> Result<GenerateRequest, String> {
        let Value::Object(body) = body else { panic!("{body}") };
        translate(body, &Limits::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_that_api_says_is_done_or_refused() {
        let body =
            json!({ "prompt": "a cat", "n": 2.0, "size": "256x128", "quality": "standard", "user": "me", "seed": 5 });
        let request = translated(body).unwrap();
        assert_eq!(request.seeds, [5, 6]);
        assert_eq!((request.overrides.width, request.overrides.height), (Some(256), Some(128)));
        assert_eq!(translated(json!({ "prompt": "a cat", "size": "auto" })).unwrap().seeds.len(), 1);
        for (body, begins) in [
            (json!({ "prompt": "a", "quality": "hd" }), "quality is not available here"),
            (json!({ "prompt": "a", "stream": true }), "stream is not available here"),
            (json!({ "prompt": "a", "size": "large" }), "size is \"large\": expected auto"),
            (json!({ "prompt": "a", "n": 0 }), "n is 0: expected 1 to 16"),
            (json!({ "prompt": "a", "promt": "b" }), "unknown field `promt`"),
            (json!({ "n": 1 }), "prompt is missing"),
        ] {
            let error = translated(body).unwrap_err();
            assert!(error.starts_with(begins), "{error}");
        }
    }
}
