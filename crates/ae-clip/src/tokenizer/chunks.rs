//! A prompt beyond the length of the text encoder, in chunks.

use crate::prompt::{Piece, PieceKind};

/// So many tokens before the end of a chunk a comma may stand for what follows it to begin the next one
/// (`comma_padding_backtrack` of AUTOMATIC1111's program, its default).
const COMMA_BACKTRACK: usize = 20;

/// The most chunks of a prompt: its context is attended to by every patch.
pub const MOST_CHUNKS: usize = 32;

/// Pieces, each with its weight.
pub(crate) type Chunk = Vec<(Piece, f32)>;

/// Distributes the tokens of a prompt over chunks: `tokenize_line` of `modules/sd_hijack_clip.py`.
///
/// A word that does not fit begins the next chunk; where a comma stands in the last tokens of the chunk, so does what follows the
/// comma. The vectors of a textual inversion stay together.
#[derive(Debug)]
pub(super) struct Chunks {
    done: Vec<Chunk>,
    current: Chunk,
    last_comma: Option<usize>,
    /// Tokens of a chunk between its start and its end.
    length: usize,
    comma: Option<u32>,
}

impl Chunks {
    pub(super) fn new(length: usize, comma: Option<u32>) -> Self {
        Self { done: Vec::new(), current: Vec::new(), last_comma: None, length, comma }
    }

    /// Begins the next chunk, as `BREAK` does.
    pub(super) fn end_chunk(&mut self) {
        self.done.push(std::mem::take(&mut self.current));
        self.last_comma = None;
    }

    /// Adds pieces of one weight.
    pub(super) fn add(&mut self, pieces: Vec<Piece>, weight: f32) {
        let mut pieces = pieces.into_iter().peekable();
        while let Some(piece) = pieces.next() {
            let span = piece.span.clone();
            let mut group = vec![(piece, weight)];
            while group[0].0.kind == PieceKind::Embedding
                && let Some(next) = pieces.next_if(|next| next.kind == PieceKind::Embedding && next.span == span)
            {
                group.push((next, weight));
            }
            self.add_group(group);
        }
    }

    /// Adds a token, or all vectors of a textual inversion.
    fn add_group(&mut self, group: Chunk) {
        let is_comma = self.comma.is_some_and(|comma| group[0].0.id == comma);
        if is_comma {
            self.last_comma = Some(self.current.len());
        } else if self.current.len() == self.length
            && let Some(comma) = self.last_comma.filter(|comma| self.length - comma <= COMMA_BACKTRACK)
        {
            let moved = self.current.split_off(comma + 1);
            self.end_chunk();
            self.current = moved;
        }
        if self.current.len() == self.length || self.current.len() + group.len() > self.length {
            self.end_chunk();
        }
        for piece in group {
            if self.current.len() == self.length {
                self.end_chunk();
            }
            self.current.push(piece);
        }
    }

    /// The chunks, at least one.
    pub(super) fn finish(mut self) -> Vec<Chunk> {
        if !self.current.is_empty() || self.done.is_empty() {
            self.end_chunk();
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: u32 = 0;

    /// The ids of the chunks of a prompt, whose spans are those of its ids.
    fn chunks(ids: &[u32], length: usize) -> Vec<Vec<u32>> {
        let mut chunks = Chunks::new(length, Some(COMMA));
        let piece = |(at, id): (usize, &u32)| Piece { id: *id, span: at..at + 1, kind: PieceKind::Text };
        chunks.add(ids.iter().enumerate().map(piece).collect(), 1.0);
        let ids = |chunk: Chunk| chunk.into_iter().map(|(piece, _)| piece.id).collect();
        chunks.finish().into_iter().map(ids).collect()
    }

    #[test]
    fn what_follows_a_comma_near_the_end_begins_the_next_chunk() {
        assert_eq!(chunks(&[], 4), [[0; 0]]);
        assert_eq!(chunks(&[1, 2, 3, 4], 4), [[1, 2, 3, 4]]);
        assert_eq!(chunks(&[1, 2, 3, 4, 5], 4), [vec![1, 2, 3, 4], vec![5]]);
        assert_eq!(chunks(&[1, COMMA, 3, 4, 5, 6], 4), [vec![1, COMMA], vec![3, 4, 5, 6]]);
        assert_eq!(chunks(&[1, 2, 3, COMMA, 5], 4), [vec![1, 2, 3, COMMA], vec![5]]);
        // A comma that does not fit itself moves nothing.
        assert_eq!(chunks(&[1, COMMA, 3, 4, COMMA, 6], 4), [vec![1, COMMA, 3, 4], vec![COMMA, 6]]);
    }

    #[test]
    fn a_comma_far_from_the_end_moves_nothing() {
        let at = |comma: usize| -> Vec<usize> {
            let ids: Vec<u32> = (0..80).map(|place| if place == comma { COMMA } else { 1 }).collect();
            chunks(&ids, 75).iter().map(Vec::len).collect()
        };
        assert_eq!(at(54), [75, 5]);
        assert_eq!(at(55), [56, 24]);
        assert_eq!(at(74), [75, 5]);
    }

    #[test]
    fn the_vectors_of_an_embedding_stay_together() {
        let mut chunks = Chunks::new(4, None);
        let piece = |id, kind| Piece { id, span: 0..1, kind };
        chunks.add(vec![piece(1, PieceKind::Text), piece(2, PieceKind::Text)], 1.0);
        chunks.add((3..6).map(|id| piece(id, PieceKind::Embedding)).collect(), 1.5);
        // More vectors than a chunk has room for.
        chunks.add((6..12).map(|id| piece(id, PieceKind::Embedding)).collect(), 1.0);
        let chunks = chunks.finish();
        let ids: Vec<Vec<u32>> = chunks.iter().map(|chunk| chunk.iter().map(|(piece, _)| piece.id).collect()).collect();
        assert_eq!(ids, [vec![1, 2], vec![3, 4, 5], vec![6, 7, 8, 9], vec![10, 11]]);
        assert!((chunks[1][0].1 - 1.5).abs() < f32::EPSILON);
    }
}
