use super::*;

fn some_poly() -> Poly {
    std::array::from_fn(|at| ((at as u32 * 2_654_435 + 77) % Q) as u16)
}

#[test]
fn the_inverse_transform_gives_back_what_was_transformed() {
    assert_eq!(inverse_ntt(&ntt(&some_poly())), some_poly());
}

#[test]
fn a_product_of_transformed_polynomials_is_one_of_polynomials() {
    let mut x = [0; 256];
    x[1] = 1;
    let mut turned = some_poly();
    turned.rotate_right(1);
    turned[0] = sub(0, turned[0]);
    assert_eq!(inverse_ntt(&product(&ntt(&some_poly()), &ntt(&x))), turned);
}

#[test]
fn unpacking_gives_back_what_was_packed() {
    assert_eq!(unpack(&pack(&some_poly()), 12), some_poly());
}
