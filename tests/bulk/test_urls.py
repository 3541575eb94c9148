"""Paths and URLs as text."""

import pytest

from scenelet.bulk.urls import join, parent


@pytest.mark.parametrize(
    ("base", "name", "joined"),
    [
        ("/a/b", "c/d.wav", "/a/b/c/d.wav"),
        ("/a/b", "/c.wav", "/c.wav"),
        ("/a/b", "s3://c/d.wav", "s3://c/d.wav"),
        ("s3://a/b", "c.wav", "s3://a/b/c.wav"),
        ("s3://a/b/", "/c.wav", "/c.wav"),
        ("s3://a/b", "c#1?%.wav", "s3://a/b/c#1?%.wav"),
        ("https://a/b", "c d/#1?%20.wav", "https://a/b/c%20d/%231%3F%2520.wav"),
        ("HTTP://a/b", "Käuzchen.wav", "HTTP://a/b/K%C3%A4uzchen.wav"),
    ],
)
def test_join_keeps_absolute_paths_and_urls(base: str, name: str, joined: str) -> None:
    assert join(base, name) == joined


def test_parent_of_http_url_drops_query() -> None:
    assert parent("https://host/set/all.csv?version=a/b") == "https://host/set"
    assert parent("s3://bucket/set/what?.csv") == "s3://bucket/set"
