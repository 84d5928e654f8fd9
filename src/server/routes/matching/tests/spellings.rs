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

/// Prices 5, 5 and 9 for what a URL in a path may mean.
const SCRAPE: &[(&str, u32)] = &[
    ("GET /scrape/{url}", 5),
    ("GET /scrape/{url}/{*rest}", 5),
    ("GET /scrape/https:/dear.example/{*rest}", 9),
    ("GET /free/{url}", 5),
    ("GET /free/{url}/{*rest}", 0),
    ("GET /other/{url}", 5),
];

#[test]
fn a_path_of_which_every_reading_costs_the_same_is_priced_as_it_is() {
    for otherwise in [Otherwise::Free, Otherwise::Refuse] {
        expect(
            SCRAPE,
            otherwise,
            &[
                (
                    "GET /scrape/https%3A%2F%2Fexample.com%2Fa",
                    "5 url=https://example.com/a",
                ),
                (
                    "GET /scrape/https%253A%252F%252Fexample.com%252Fa",
                    "5 url=https%3A%2F%2Fexample.com%2Fa",
                ),
                ("GET /scrape/a%2Fb/c", "5 url=a/b rest=c"),
                ("GET /scrape/a%5Cb", "5 url=a\\b"),
                ("GET /scrape/..%2Fother%2Fx", "400"),
                ("GET /scrape/a/B//c", "5 url=a rest=B//c"),
                ("HEAD /scrape/a%2Fb", "5 url=a/b"),
                ("POST /scrape/a%2Fb", "405 GET, HEAD, OPTIONS"),
            ],
        );
    }
}

#[test]
fn a_reading_that_costs_more_or_nothing_makes_a_path_ambiguous() {
    for otherwise in [Otherwise::Free, Otherwise::Refuse] {
        expect(
            SCRAPE,
            otherwise,
            &[
                ("GET /scrape/https%3A%2F%2Fdear.example%2Fa", "400"),
                ("GET /scrape/https%3A%2F%2FDEAR.example%2Fa", "400"),
                (
                    "GET /scrape/https%3A%2F%2Fdear.example%2Fa%2F..%2F..%2Fb",
                    "400",
                ),
                (
                    "GET /scrape/https:%2Fdear.example%2Fa%2F..%2F..%2F..%2Fb%2Fc",
                    "400",
                ),
                ("GET /scrape/https%253A%252F%252Fdear.example%252Fa", "400"),
                (
                    "GET /scrape/https:;v%2Fdear.example%2F..%2F..%2Fb%2Fc",
                    "400",
                ),
                ("GET /scrape/a%2Fb%00", "400"),
                ("GET /scrape/a%2Fb%FF", "400"),
                ("GET /scrape/a%2F..%2F..", "400"),
                ("GET /scrape/..%2Ffree%2Fx%2Fy", "400"),
                ("GET /scrape/..%2Fother%2Fx%2Fy", "400"),
                ("GET /free/a%2Fb", "400"),
                ("GET /other/a%2Fb", "400"),
                ("GET /Scrape/a%2Fb", "400"),
            ],
        );
    }
}

#[test]
fn an_empty_rest_that_costs_the_same_as_the_rule_for_its_path_is_priced() {
    let rules = &[
        ("GET /{x}", 5),
        ("GET /a/{*rest}", 5),
        ("GET /b/{*rest}", 6),
    ];
    expect(
        rules,
        Otherwise::Refuse,
        &[
            ("GET /a", "5 rest="),
            ("GET /b", "400"),
            ("GET /c", "5 x=c"),
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

#[test]
fn dots_beside_an_encoded_separator_are_refused_whatever_they_remove() {
    let rules = &[
        ("GET /archive/{*path}", 5),
        ("GET /archive/pub/{*path}", 0),
        ("GET /a/{*r}", 10),
        ("GET /a/secret/{z}", 1000),
    ];
    for otherwise in [Otherwise::Free, Otherwise::Refuse] {
        expect(
            rules,
            otherwise,
            &[
                ("GET /x%2Fy/../archive/q", "400"),
                ("GET /x%252Fy/../archive/q", "400"),
                ("GET /x\\y/../archive/q", "400"),
                ("GET /archive/pub/x%2Fy/../../x.txt", "400"),
                ("GET /a/x%2Fy/../secret/q", "400"),
                ("GET /a/x%2Fy/%2e%2e/secret/q", "400"),
                ("GET /a/..;/../secret/q", "400"),
                ("GET /archive/pub/a%2Fb", "free"),
            ],
        );
    }
}
