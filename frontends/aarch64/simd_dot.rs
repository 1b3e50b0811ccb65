//! Sums of products of bytes: FEAT_DotProd and FEAT_I8MM.
//!
//! Bytes are extended to halfwords, whose products are summed by pairs twice; no step can overflow.

use super::operand::{Lifted, Sign, set_v, v};
use super::simd::{Form, sources, write};
use super::simd_wide::element;
use super::word::Word;
use crate::lift::Lift;
use philae_ir::{Builder, Sink, Ty, Value};

/// The signs of Vn's and Vm's bytes.
pub(super) type Signs = [Sign; 2];

/// The low and the high bytes of a vector as halfwords.
fn halfwords(b: &mut Builder<impl Sink>, sign: Sign, value: Value) -> [Value; 2] {
    match sign {
        Sign::Signed => [b.widen_low_s(Ty::I16X8, value), b.widen_high_s(Ty::I16X8, value)],
        Sign::Unsigned => [b.widen_low_u(Ty::I16X8, value), b.widen_high_u(Ty::I16X8, value)],
    }
}

fn accumulate(w: Word, l: &mut Lift<impl Sink>, signs: Signs, n: Value, m: Value) -> Lifted {
    let ([n_low, n_high], [m_low, m_high]) = (halfwords(&mut l.b, signs[0], n), halfwords(&mut l.b, signs[1], m));
    let low = l.b.dot_pairs_s(Ty::I32X4, n_low, m_low);
    let high = l.b.dot_pairs_s(Ty::I32X4, n_high, m_high);
    let dots = l.b.add_pairs(Ty::I32X4, low, high);
    let d = v(l, Ty::V128, w.rd());
    let result = l.b.add(Ty::I32X4, d, dots);
    write(w, l, Form::of(w), Ty::I32X4, result);
    Ok(())
}

/// SDOT, UDOT, USDOT (vector).
pub(super) fn dot(w: Word, l: &mut Lift<impl Sink>, signs: Signs) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    accumulate(w, l, signs, n, m)
}

/// SDOT, UDOT, USDOT, SUDOT (by element): the element is four bytes.
pub(super) fn dot_element(w: Word, l: &mut Lift<impl Sink>, signs: Signs) -> Lifted {
    let n = v(l, Ty::V128, w.rn());
    let m = element(w, l, Ty::I32X4);
    accumulate(w, l, signs, n, m)
}

/// SMMLA, UMMLA, USMMLA: Vd's 2 × 2 words plus Vn's 2 × 8 bytes times Vm's, which are transposed.
pub(super) fn matrix(w: Word, l: &mut Lift<impl Sink>, signs: Signs) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let (rows, columns) = (halfwords(&mut l.b, signs[0], n), halfwords(&mut l.b, signs[1], m));
    let sums = rows.map(|row| {
        let [first, second] = columns.map(|column| l.b.dot_pairs_s(Ty::I32X4, row, column));
        l.b.add_pairs(Ty::I32X4, first, second)
    });
    let products = l.b.add_pairs(Ty::I32X4, sums[0], sums[1]);
    let d = v(l, Ty::V128, w.rd());
    let result = l.b.add(Ty::I32X4, d, products);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}
