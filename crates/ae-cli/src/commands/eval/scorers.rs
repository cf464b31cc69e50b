//! The scorers of `ae eval score`: what ae-vision sees, as metrics.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ae_eval::{Metric, MetricKind, PictureScorer, Plan, Prompt, Scored, Scorer, ScorerFailure, Thing};
use ae_tensor::FloatType;
use ae_vision::{Captioner, ClipModel, ClipScorer, Detection, SubjectDetector};
use burn_device::Device;
use image::RgbImage;
use serde_json::json;
