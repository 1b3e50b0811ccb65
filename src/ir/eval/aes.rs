//! The steps of AES (FIPS 197) on a state of 16 bytes, column after column.

/// ShiftRows and SubBytes.
pub(super) fn substitute(state: u128) -> u128 {
    shift_and_substitute(state, &SBOX, |row| row)
}

/// InvShiftRows and InvSubBytes.
pub(super) fn inverse_substitute(state: u128) -> u128 {
    shift_and_substitute(state, &INVERSE_SBOX, |row| 4 - row)
}

/// MixColumns.
pub(super) fn mix(state: u128) -> u128 {
    columns(state, mix_column)
}

/// InvMixColumns.
pub(super) fn inverse_mix(state: u128) -> u128 {
    columns(state, unmix_column)
}

/// FIPS 197, 5.1.1: the inverse in GF(2^8), then an affine map.
static SBOX: [u8; 256] = {
    let mut table = [0x63; 256];
    // 3 generates the field; `q` is the inverse of `p` = 3^i.
    let (mut p, mut q, mut i) = (1u8, 1u8, 0);
    while i < 255 {
        table[p as usize] = q ^ q.rotate_left(1) ^ q.rotate_left(2) ^ q.rotate_left(3) ^ q.rotate_left(4) ^ 0x63;
        p ^= double(p);
        // Division by 3 is multiplication by 0xf6.
        q = multiply(q, 0xf6);
        i += 1;
    }
    table
};

static INVERSE_SBOX: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[SBOX[i] as usize] = i as u8;
        i += 1;
    }
    table
};

/// Times 2 in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1.
const fn double(a: u8) -> u8 {
    a << 1 ^ if a & 0x80 != 0 { 0x1b } else { 0 }
}

const fn multiply(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 != 0 {
            product ^= a;
        }
        a = double(a);
        b >>= 1;
    }
    product
}

/// Each byte out of `table`; before that, row r moves left by `shift(r)` columns.
fn shift_and_substitute(state: u128, table: &[u8; 256], shift: impl Fn(usize) -> usize) -> u128 {
    let bytes = state.to_le_bytes();
    u128::from_le_bytes(std::array::from_fn(|i| {
        let (row, column) = (i % 4, i / 4);
        table[usize::from(bytes[row + 4 * ((column + shift(row)) % 4)])]
    }))
}

/// `f` of every column; row 0 is a column's lowest byte.
fn columns(state: u128, f: impl Fn(u32) -> u32) -> u128 {
    (0..128).step_by(32).fold(0, |all, at| all | u128::from(f((state >> at) as u32)) << at)
}

/// [`double`] of four bytes.
fn double_each(column: u32) -> u32 {
    let reduction = (column >> 7 & 0x0101_0101) * 0x1b;
    (column & 0x7f7f_7f7f) << 1 ^ reduction
}

/// FIPS 197, 5.1.3: row i becomes twice itself, thrice the next, and the two after, summed.
fn mix_column(column: u32) -> u32 {
    let doubled = double_each(column);
    doubled ^ (doubled ^ column).rotate_right(8) ^ column.rotate_right(16) ^ column.rotate_right(24)
}

/// FIPS 197, 5.3.3, whose matrix is that of [`mix_column`] times the circulant one of 5, 0, 4, 0.
fn unmix_column(column: u32) -> u32 {
    mix_column(column ^ double_each(double_each(column ^ column.rotate_right(16))))
}
