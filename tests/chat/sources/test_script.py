"""The scripts that write the tables (R104)."""

from __future__ import annotations

import re

import pytest

from migrations_app.chat.sources.script import POWERSHELL_SCRIPT, SCRIPTS, SQL_SCRIPT
from migrations_app.chat.sources.table_columns import TABLES

WRITES = r"\b(INSERT|UPDATE|DELETE|MERGE|DROP|ALTER|CREATE\s|TRUNCATE|EXEC|GRANT|INTO)\b"


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_r104_scripts_name_their_columns_and_only_read(script: str) -> None:
    assert not re.search(r"SELECT\s+\*", script, re.IGNORECASE)
    assert not re.search(WRITES, script)
    assert script.isascii()
    for table, columns in TABLES.items():
        assert table in script
        for column in (*columns.required, *columns.optional):
            assert re.search(rf"\b{column}\b", script), f"{table}.{column}"


def test_r104_the_sql_has_one_statement_for_each_table_in_an_order_that_is_read_fast() -> None:
    statements = re.findall(r"^SELECT (.+) FROM dbo\.\[(\w+)\] ORDER BY (.+);$", SQL_SCRIPT, re.MULTILINE)
    assert [table for _, table, _ in statements] == list(TABLES)
    for columns, table, order in statements:
        assert columns == ", ".join(f"[{each}]" for each in TABLES[table].required)
        assert order == ", ".join(f"[{each}]" for each in TABLES[table].order)


def test_r104_the_script_asks_for_no_password_and_overwrites_nothing() -> None:
    assert "Password" not in POWERSHELL_SCRIPT
    assert "'Integrated Security'] = $true" in POWERSHELL_SCRIPT
    assert "is there already" in POWERSHELL_SCRIPT
    assert POWERSHELL_SCRIPT.count("{") == POWERSHELL_SCRIPT.count("}")
    assert POWERSHELL_SCRIPT.count("(") == POWERSHELL_SCRIPT.count(")")
