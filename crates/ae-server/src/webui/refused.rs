//! What that program does and this one does not.

use crate::error::{ApiError, ErrorBody};

macro_rules! refused {
    ($($name:ident $path:literal $reason:literal;)+) => {
        $(
            #[utoipa::path(post, path = $path, description = concat!("Not available: ", $reason, "."),
                responses((status = "4XX", body = ErrorBody)))]
            pub(crate) async fn $name() -> ApiError {
                ApiError::invalid(concat!($path, " is not available here: ", $reason))
            }
        )+
    };
}

refused! {
    interrogate "/sdapi/v1/interrogate" "no network that describes pictures is loaded";
    extra_single_image "/sdapi/v1/extra-single-image" "there are no upscalers and no networks that draw faces anew";
    extra_batch_images "/sdapi/v1/extra-batch-images" "there are no upscalers and no networks that draw faces anew";
    unload_checkpoint "/sdapi/v1/unload-checkpoint" "the model of the latest job stays in memory until another one is drawn with";
    reload_checkpoint "/sdapi/v1/reload-checkpoint" "a model is loaded when a job needs it";
}
