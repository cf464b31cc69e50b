//! CLIP with both towers: transformers' `CLIPModel`.
