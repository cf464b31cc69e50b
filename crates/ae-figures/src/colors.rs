use colorous::INFERNO;
use image::Rgb;

/// The colour of a share of the scale, from 0 to 1: Inferno (van der Walt and Smith 2015), whose steps look equally large
/// and whose lightness alone tells the value.
pub(crate) fn heat(share: f32) -> Rgb<u8> {
    let colour = INFERNO.eval_continuous(f64::from(share.clamp(0.0, 1.0)));
    Rgb([colour.r, colour.g, colour.b])
}

/// The 256 colours of the heat maps from 0 to 1, six hexadecimal digits each.
pub fn palette_hex() -> String {
    (0..=255u8).fold(String::new(), |palette, index| {
        let colour = INFERNO.eval_continuous(f64::from(index) / 255.0);
        palette + &format!("{colour:x}")
    })
}

/// The colours of curves, which people with any colour vision tell apart (Okabe and Ito 2008), without yellow.
pub(crate) const CURVES: [Rgb<u8>; 7] = [
    Rgb([0, 114, 178]),
    Rgb([213, 94, 0]),
    Rgb([0, 158, 115]),
    Rgb([204, 121, 167]),
    Rgb([86, 180, 233]),
    Rgb([230, 159, 0]),
    Rgb([0, 0, 0]),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// `matplotlib.colormaps["inferno"]([0.0, 1.0], bytes=True)`
    #[test]
    fn the_ends_are_those_of_inferno() {
        let near = |Rgb(one): Rgb<u8>, other: [u8; 3]| one.iter().zip(other).all(|(a, b)| a.abs_diff(b) <= 2);
        assert!(near(heat(0.0), [0, 0, 4]), "{:?}", heat(0.0));
        assert!(near(heat(1.0), [252, 255, 164]), "{:?}", heat(1.0));
        assert_eq!(heat(f32::INFINITY), heat(1.0));
    }

    #[test]
    fn lightness_rises_with_the_value() {
        let lightness = |index: u32| {
            let Rgb([r, g, b]) = heat(index as f32 / 50.0);
            0.2126 * f32::from(r) + 0.7152 * f32::from(g) + 0.0722 * f32::from(b)
        };
        assert!((0..50).all(|index| lightness(index) < lightness(index + 1)));
        assert_eq!(palette_hex().len(), 256 * 6);
    }
}
