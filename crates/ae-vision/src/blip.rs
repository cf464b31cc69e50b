//! The BLIP captioner: transformers' `BlipForConditionalGeneration`.
