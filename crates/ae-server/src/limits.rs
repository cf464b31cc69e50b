use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

/// What a client may ask for: enough for every use, and not enough to exhaust the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Limits {
    /// Longest side of a picture in pixels.
    pub max_side: usize,
    /// Most denoising steps.
    pub max_steps: usize,
    /// Most seeds of one job.
    pub max_seeds: usize,
    /// Most jobs that wait.
    pub max_queue: usize,
    /// Longest prompt in characters.
    pub max_prompt: usize,
    /// Largest body of a request in bytes; pictures may be larger.
    pub max_body: usize,
    /// Largest picture that is read for its settings, in bytes.
    pub max_picture: usize,
    /// Most pixels of an image that is brought to start from.
    pub max_pixels: u64,
    /// Most bytes of all images that are kept to start from; the oldest make room.
    pub max_images: u64,
    /// Time in which the head of a request, and then its body, must have arrived.
    #[serde(skip)]
    pub read_timeout: Duration,
    /// Most connections at a time; more wait.
    #[serde(skip)]
    pub max_connections: usize,
}

/// As many as a prompt has tokens.
const MOST_SUBJECTS: usize = 77;
/// Ten times the paper's.
const MOST_REFINEMENT: usize = 200;

impl Limits {
    /// The largest number, the longest text or the longest list of fields of a request.
    pub(crate) fn of_fields(&self) -> [(&'static str, usize); 10] {
        [
            ("seeds", self.max_seeds),
            ("prompt", self.max_prompt),
            ("negative_prompt", self.max_prompt),
            ("subjects", MOST_SUBJECTS),
            ("token_indices", MOST_SUBJECTS),
            ("phrases", MOST_SUBJECTS),
            ("height", self.max_side),
            ("width", self.max_side),
            ("steps", self.max_steps),
            ("attend_and_excite.max_refinement_steps", MOST_REFINEMENT),
        ]
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_side: 1024,
            max_steps: 250,
            max_seeds: 16,
            max_queue: 64,
            max_prompt: 5000,
            max_body: 1 << 20,
            max_picture: 32 << 20,
            max_pixels: 32 << 20,
            max_images: 1 << 30,
            read_timeout: Duration::from_secs(10),
            max_connections: 512,
        }
    }
}
