use super::{ARCHIVE, expect};
use crate::server::routes::matching::Otherwise;

#[test]
fn no_spelling_of_a_priced_path_is_free() {
    expect(
        ARCHIVE,
        Otherwise::Free,
        &[
            ("GET /archive/x.txt", "5 path=x.txt"),
            ("GET /archive/X.txt", "5 path=X.txt"),
            ("GET /archive/a%20b", "5 path=a b"),
            ("GET /archive/", "5 path="),
            ("GET /archive", "5 path="),
            ("GET /archive/x.txt/", "5 path=x.txt/"),
            ("GET /archive/a/../b", "5 path=a/../b"),
            ("GET /archive;v=1", "400"),
            ("GET /archive;v=1/x.txt", "400"),
            ("GET /Archive/x.txt", "400"),
            ("GET //archive/x.txt", "400"),
            ("GET //archive/.", "400"),
            ("GET /%61rchive/x.txt", "400"),
            ("GET /%2561rchive/x.txt", "400"),
            ("GET /archive%2Fx.txt", "400"),
            ("GET /archive\\x.txt", "400"),
            ("GET /x/..%5Carchive/x.txt", "400"),
            ("GET /archive/..", "400"),
            ("GET /archive/%252e%252e/health", "400"),
            ("GET /archive/%00", "400"),
            ("GET /archive/%FF", "400"),
            ("GET /archive/pub/%2e%2e/x.txt", "400"),
            ("GET /archive/pub/x.txt", "free"),
            ("GET //archive/..", "free"),
            ("GET /other/%00", "free"),
        ],
    );
}

#[test]
fn upper_case_in_a_pattern_is_part_of_the_route() {
    expect(
        &[("GET /API/{Key}/", 3)],
        Otherwise::Free,
        &[
            ("GET /API/k%2B/", "3 Key=k+"),
            ("GET /API/k", "400"),
            ("GET /api/k/", "400"),
        ],
    );
}

#[test]
fn a_rule_in_capitals_prices_its_path_in_small_letters() {
    expect(
        &[("GET /Weather/{City}", 3), ("GET /health", 0)],
        Otherwise::Free,
        &[
            ("GET /Weather/Oslo", "3 City=Oslo"),
            ("GET /weather/oslo", "400"),
            ("GET /weather/Oslo", "400"),
            ("GET /x", "free"),
        ],
    );
}

#[test]
fn a_table_of_capitals_alone_is_looked_up_in_both_forms() {
    let requests = [
        ("GET /Weather", "3"),
        ("GET /weather", "400"),
        ("GET /WEATHER", "400"),
        ("GET /x", "free"),
    ];
    expect(
        &[("GET /Weather", 3), ("GET /Other", 0)],
        Otherwise::Free,
        &requests,
    );
}

#[test]
fn one_segment_hides_behind_no_spelling() {
    expect(
        &[("GET /w", 3), ("GET /x.y", 4)],
        Otherwise::Free,
        &[
            ("GET /w", "3"),
            ("GET //w", "400"),
            ("GET /w/", "400"),
            ("GET /./w", "400"),
            ("GET /w/.", "400"),
            ("GET /v/../w", "400"),
            ("GET //x.y", "400"),
            ("GET /.", "free"),
            ("GET /.w", "free"),
        ],
    );
}

#[test]
fn a_path_that_two_free_rules_see_is_free_whatever_the_default() {
    expect(
        &[("GET /a/{x}", 0), ("GET /a/b", 0), ("GET /dear", 1)],
        Otherwise::Refuse,
        &[
            ("GET /a/B", "free"),
            ("GET /a/b", "free"),
            ("GET /A/b", "404"),
        ],
    );
}
