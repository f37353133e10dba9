//! Conversion between `f32` and bfloat16, which is the upper half of an `f32`.

/// Rounds to the nearest bfloat16, ties to even. NaN becomes NaN.
#[inline(always)]
pub(crate) fn from_f32(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() {
        // Setting the quiet bit prevents a NaN from becoming infinity when its lower half is dropped.
        return (bits >> 16) as u16 | 0x40;
    }
    let half = 0x7fff + (bits >> 16 & 1);
    (bits.wrapping_add(half) >> 16) as u16
}

/// Converts to `f32`, exactly.
#[inline(always)]
pub(crate) fn to_f32(x: u16) -> f32 {
    f32::from_bits(u32::from(x) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_the_nearest_of_its_neighbours() {
        let mut bits = 1u32;
        for _ in 0..200_000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let x = f32::from_bits(bits);
            if !x.is_finite() {
                continue;
            }
            let y = from_f32(x);
            let error = (f64::from(to_f32(y)) - f64::from(x)).abs();
            for neighbour in [y.wrapping_sub(1), y.wrapping_add(1)] {
                let other = (f64::from(to_f32(neighbour)) - f64::from(x)).abs();
                // Values that round to infinity have no finite neighbour to compare with.
                if !other.is_nan() && to_f32(y).is_finite() {
                    assert!(error <= other, "{x:e} became {:e}", to_f32(y));
                    assert!(error < other || y.is_multiple_of(2), "{x:e}: a tie went to odd");
                }
            }
        }
    }

    #[test]
    fn keeps_infinity_and_nan() {
        assert_eq!(to_f32(from_f32(f32::INFINITY)), f32::INFINITY);
        assert_eq!(to_f32(from_f32(f32::NEG_INFINITY)), f32::NEG_INFINITY);
        assert!(to_f32(from_f32(f32::NAN)).is_nan());
        assert!(to_f32(from_f32(f32::from_bits(0x7f80_0001))).is_nan());
        assert_eq!(to_f32(from_f32(-0.0)).to_bits(), (-0.0f32).to_bits());
        assert_eq!(from_f32(f32::MAX), from_f32(f32::INFINITY));
    }
}
