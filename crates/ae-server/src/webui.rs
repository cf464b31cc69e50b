//! The API of AUTOMATIC1111's program (`/sdapi/v1`), as its clients use it.
//!
//! Attend-and-Excite is a script there ([`script`]); without it sampling is plain. Prompts are read in that program's syntax. What a
//! request says is done, changes nothing, or is refused by the name of its field: [`field`] is the table. The models of its
//! requests and answers are those of `modules/api/models.py` and `modules/processing.py` of version 1.10.

mod draw;
mod field;
mod image;
mod infotext;
mod lists;
mod options;
mod progress;
mod refused;
mod sampler;
mod script;
mod translate;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
pub(crate) use options::Chosen;

/// All routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(draw::txt2img))
        .routes(routes!(draw::img2img))
        .routes(routes!(infotext::png_info))
        .routes(routes!(progress::progress))
        .routes(routes!(progress::interrupt))
        .routes(routes!(progress::skip))
        .routes(routes!(options::options, options::set_options))
        .routes(routes!(lists::sd_models))
        .routes(routes!(lists::sd_vae))
        .routes(routes!(lists::loras))
        .routes(routes!(lists::embeddings))
        .routes(routes!(lists::upscalers))
        .routes(routes!(lists::latent_upscale_modes))
        .routes(routes!(lists::hypernetworks))
        .routes(routes!(lists::face_restorers))
        .routes(routes!(lists::realesrgan_models))
        .routes(routes!(lists::prompt_styles))
        .routes(routes!(lists::extensions))
        .routes(routes!(lists::cmd_flags))
        .routes(routes!(lists::memory))
        .routes(routes!(lists::refresh_checkpoints))
        .routes(routes!(lists::refresh_vae))
        .routes(routes!(lists::refresh_loras))
        .routes(routes!(lists::refresh_embeddings))
        .routes(routes!(sampler::samplers))
        .routes(routes!(sampler::schedulers))
        .routes(routes!(script::scripts))
        .routes(routes!(script::script_info))
        .routes(routes!(refused::interrogate))
        .routes(routes!(refused::extra_single_image))
        .routes(routes!(refused::extra_batch_images))
        .routes(routes!(refused::unload_checkpoint))
        .routes(routes!(refused::reload_checkpoint))
}
