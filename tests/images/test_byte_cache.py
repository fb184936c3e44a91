from critic_engine.images.byte_cache import ByteCache


def test_least_recently_used_items_go_first() -> None:
    cache: ByteCache[str] = ByteCache(10)
    for key in "abc":
        cache.put(key, key.upper(), 3)
    assert cache.get("a") == "A"
    cache.put("d", "D", 4)
    assert [cache.get(key) for key in "abcd"] == ["A", None, "C", "D"]
    cache.put("e", "E", 5)
    assert [cache.get(key) for key in "abcde"] == [None, None, None, "D", "E"]


def test_items_that_together_have_just_the_limit_are_kept() -> None:
    cache: ByteCache[str] = ByteCache(10)
    cache.put("a", "A", 4)
    cache.put("b", "B", 6)
    assert (cache.get("a"), cache.get("b")) == ("A", "B")


def test_item_larger_than_the_limit_is_not_kept_and_drives_no_other_out() -> None:
    cache: ByteCache[str] = ByteCache(10)
    cache.put("a", "A", 10)
    cache.put("large", "L", 11)
    assert (cache.get("large"), cache.get("a")) == (None, "A")


def test_item_put_again_counts_once_and_removed_items_not_at_all() -> None:
    cache: ByteCache[str] = ByteCache(10)
    for _ in range(3):
        cache.put("a", "A", 5)
    cache.put("b", "B", 5)
    assert (cache.get("a"), cache.get("b")) == ("A", "B")
    cache.remove("a")
    cache.remove("a")
    cache.put("c", "C", 5)
    assert [cache.get(key) for key in "abc"] == [None, "B", "C"]
