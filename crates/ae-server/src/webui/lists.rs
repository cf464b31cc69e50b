//! The lists of what there is.

use std::collections::BTreeMap;

use ae_files::SystemMemory;
use ae_settings::weights_stem;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::app::{App, blocking};
use crate::error::{ApiError, ErrorBody};
use crate::{Adapter, Adapters};

/// A model.
#[derive(Serialize, ToSchema)]
pub(crate) struct SdModel {
    /// What `sd_model_checkpoint` takes.
    title: String,
    model_name: String,
    hash: Option<String>,
    sha256: Option<String>,
    /// No path: a client does not learn where files lie.
    filename: String,
    config: Option<String>,
}

/// The models that can be chosen.
#[utoipa::path(get, path = "/sdapi/v1/sd-models", responses((status = OK, body = Vec<SdModel>)))]
pub(crate) async fn sd_models(State(app): State<App>) -> Result<Json<Vec<SdModel>>, ApiError> {
    let models = blocking(move || app.engine.models()).await?.into_iter();
    let model = |model: crate::Model| SdModel {
        title: model.id.clone(),
        model_name: model.title,
        hash: None,
        sha256: None,
        filename: model.id,
        config: None,
    };
    Ok(Json(models.map(model).collect()))
}

/// Something with a name, and where it would lie.
#[derive(Serialize, ToSchema)]
pub(crate) struct Named {
    name: String,
}

/// An upscaler.
#[derive(Serialize, ToSchema)]
pub(crate) struct Upscaler {
    name: &'static str,
    model_name: Option<String>,
    model_path: Option<String>,
    model_url: Option<String>,
    scale: f64,
}

/// The upscalers: none.
#[utoipa::path(get, path = "/sdapi/v1/upscalers", responses((status = OK, body = Vec<Upscaler>)))]
pub(crate) async fn upscalers() -> Json<Vec<Upscaler>> {
    Json(vec![Upscaler { name: "None", model_name: None, model_path: None, model_url: None, scale: 4.0 }])
}

/// The textual inversions that can be used.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct Embeddings {
    #[schema(value_type = Object)]
    loaded: BTreeMap<String, Value>,
    #[schema(value_type = Object)]
    skipped: BTreeMap<String, Value>,
}

/// The textual inversions that can be used: a word of a prompt that is the name of one stands for it.
#[utoipa::path(get, path = "/sdapi/v1/embeddings",
    responses((status = OK, body = Embeddings), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn embeddings(State(app): State<App>) -> Result<Json<Embeddings>, ApiError> {
    let Adapters { embeddings, .. } = blocking(move || app.engine.adapters()).await??;
    // Of the files nothing is read before they are used.
    let unread =
        json!({ "step": null, "sd_checkpoint": null, "sd_checkpoint_name": null, "shape": null, "vectors": null });
    let loaded = embeddings.iter().map(|file| (weights_stem(&file.name).to_owned(), unread.clone())).collect();
    Ok(Json(Embeddings { loaded, ..Embeddings::default() }))
}

/// A LoRA.
#[derive(Serialize, ToSchema)]
pub(crate) struct Lora {
    /// As `<lora:NAME:STRENGTH>` has it.
    name: String,
    alias: String,
    /// No path: a client does not learn where files lie.
    path: String,
    #[schema(value_type = Object)]
    metadata: Value,
}

/// The LoRAs that can be chosen.
#[utoipa::path(get, path = "/sdapi/v1/loras", responses((status = OK, body = Vec<Lora>), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn loras(State(app): State<App>) -> Result<Json<Vec<Lora>>, ApiError> {
    let Adapters { loras, .. } = blocking(move || app.engine.adapters()).await??;
    let lora = |file: Adapter| {
        let name = weights_stem(&file.name).to_owned();
        Lora { alias: name.clone(), name, path: file.name, metadata: json!({}) }
    };
    Ok(Json(loras.into_iter().map(lora).collect()))
}

/// An autoencoder.
#[derive(Serialize, ToSchema)]
pub(crate) struct SdVae {
    /// What `sd_vae` takes.
    model_name: String,
    /// No path.
    filename: String,
}

/// The autoencoders that can be chosen.
#[utoipa::path(get, path = "/sdapi/v1/sd-vae", responses((status = OK, body = Vec<SdVae>), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn sd_vae(State(app): State<App>) -> Result<Json<Vec<SdVae>>, ApiError> {
    let Adapters { vaes, .. } = blocking(move || app.engine.adapters()).await??;
    let vae = |file: Adapter| SdVae { model_name: file.name.clone(), filename: file.name };
    Ok(Json(vaes.into_iter().map(vae).collect()))
}

/// Lists in which there is nothing.
macro_rules! empty {
    ($($name:ident $path:literal $what:literal;)+) => {
        $(
            #[utoipa::path(get, path = $path, description = concat!($what, ": none."), responses((status = OK, body = Vec<Named>)))]
            pub(crate) async fn $name() -> Json<Vec<Named>> {
                Json(Vec::new())
            }
        )+
    };
}

empty! {
    latent_upscale_modes "/sdapi/v1/latent-upscale-modes" "Ways to upscale latents";
    hypernetworks "/sdapi/v1/hypernetworks" "Hypernetworks";
    face_restorers "/sdapi/v1/face-restorers" "Networks that draw faces anew";
    realesrgan_models "/sdapi/v1/realesrgan-models" "Models of Real-ESRGAN";
    prompt_styles "/sdapi/v1/prompt-styles" "Styles of prompts";
    extensions "/sdapi/v1/extensions" "Extensions";
}

/// Lists that are made when they are asked for.
macro_rules! fresh {
    ($($name:ident $path:literal;)+) => {
        $(
            /// Nothing to do: the list is read when it is asked for.
            #[utoipa::path(post, path = $path, responses((status = OK, body = Option<Object>)))]
            pub(crate) async fn $name() -> Json<Value> {
                Json(Value::Null)
            }
        )+
    };
}

fresh! {
    refresh_checkpoints "/sdapi/v1/refresh-checkpoints";
    refresh_vae "/sdapi/v1/refresh-vae";
    refresh_loras "/sdapi/v1/refresh-loras";
    refresh_embeddings "/sdapi/v1/refresh-embeddings";
}

/// The flags of that program that have a meaning here.
#[utoipa::path(get, path = "/sdapi/v1/cmd-flags", responses((status = OK, body = Object)))]
pub(crate) async fn cmd_flags() -> Json<Value> {
    Json(json!({ "api": true, "nowebui": false, "no_gradio_queue": true }))
}

/// The memory of the machine and of this program.
#[derive(Serialize, ToSchema)]
pub(crate) struct Memory {
    /// `free`, `used` by this program, and `total`, in bytes; or `error`.
    #[schema(value_type = Object)]
    ram: Value,
    /// `error`: it is not measured.
    #[schema(value_type = Object)]
    cuda: Value,
}

/// The memory of the machine and of this program.
#[utoipa::path(get, path = "/sdapi/v1/memory", responses((status = OK, body = Memory)))]
pub(crate) async fn memory() -> Json<Memory> {
    let ram = SystemMemory::read().map_or_else(
        || json!({ "error": "not known on this system" }),
        |memory| json!({ "free": memory.available, "used": memory.used, "total": memory.total }),
    );
    Json(Memory { ram, cuda: json!({ "error": "not measured" }) })
}
