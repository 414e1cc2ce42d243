//! What the command says of itself.

#[test]
fn words() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd");
}
