//! The fallback for processors without fused multiply-adds, compared with the host's.

use std::fs;
use std::process::Command;

use super::{compilers, done};

/// A product and a sum, of which newlib's software `fmaf` rounds twice: (1 + 2⁻²³)·(1 − 2⁻²³)·2⁻²⁴ + 1 + 2⁻²³.
const ROUNDED_TWICE: [u32; 3] = [0x3f80_0001, 0x337f_fffe, 0x3f80_0001];

#[test]
fn fused_products_are_rounded_once() {
    let Some((compiler, _)) = compilers().first().copied() else { return };
    let mut draws = (0..).map(|at: u64| {
        // SplitMix64 (Steele, Lea, Flood 2014).
        let mut bits = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ bits >> 31) as u32
    });
    let mut draw = || draws.next().unwrap();
    let exponent = |bits: u32, exponent: u32| bits & 0x807f_ffff | exponent << 23;
    let mut triples = vec![ROUNDED_TWICE];
    for at in 0..1_000_000 {
        let [a, b, c] = [draw(), draw(), draw()];
        triples.push(match at % 5 {
            // Of one size, so that sums cancel; few bits, so that they tie; among subnormal numbers; near the negated product.
            1 => [a, b, c].map(|bits| exponent(bits, 120 + bits % 16)),
            2 => [
                a & 0xfff8_0007,
                b & 0xfff8_0007,
                exponent(
                    c,
                    (a >> 23 & 255).wrapping_add(b >> 23 & 255).wrapping_sub(127 + 25 - c % 50) & 255,
                ),
            ],
            3 => [exponent(a, 1 + a % 140), exponent(b, 1 + b % 20), exponent(c, c % 30)],
            4 => {
                let [a, b] = [a, b].map(|bits| exponent(bits, 120 + bits % 16));
                let product = -(f32::from_bits(a) * f32::from_bits(b));
                [a, b, product.to_bits().wrapping_add(c % 5).wrapping_sub(2)]
            }
            _ => [a, b, c],
        });
    }
    let expected = |[a, b, c]: [u32; 3]| f32::from_bits(a).mul_add(f32::from_bits(b), f32::from_bits(c));
    assert_eq!(expected(ROUNDED_TWICE).to_bits(), 0x3f80_0001);
    let mut bytes = vec![];
    for triple in triples {
        bytes.extend(triple.into_iter().chain([expected(triple).to_bits()]).flat_map(u32::to_ne_bytes));
    }
    let folder = tempfile::tempdir().unwrap();
    let fused =
        include_str!("../runtime/fused.c").replace("/* number_of */\n", include_str!("../runtime/number.c"));
    // The fallback, whatever this machine has.
    let (_, fallback) = fused.split_once("#else").unwrap();
    let fallback = fallback.trim_end().trim_end_matches("#endif");
    fs::write(
        folder.path().join("fused.c"),
        format!("#include <stdint.h>\n#include <stdio.h>\n#include <string.h>\n{fallback}\n{HARNESS}"),
    )
    .unwrap();
    fs::write(folder.path().join("triples"), bytes).unwrap();
    let here = folder.path();
    done(
        Command::new(compiler)
            .args(["-std=c99", "-O2", "-Wall", "-Werror", "-o", "fused", "fused.c"])
            .current_dir(here),
    );
    assert_eq!(done(Command::new(here.join("fused")).current_dir(here)), "0 of 1000001 differ\n");
}

const HARNESS: &str = r#"
int main(void)
{
    FILE *file = fopen("triples", "rb");
    uint32_t of[4];
    long count = 0, wrong = 0;
    while (fread(of, sizeof of, 1, file) == 1) {
        float found = fused(number_of(of[0]), number_of(of[1]), number_of(of[2])), expected = number_of(of[3]);
        int both_nan = found != found && expected != expected;
        count++;
        wrong += bits_of(found) != of[3] && !both_nan;
    }
    printf("%ld of %ld differ\n", wrong, count);
    return 0;
}
"#;
