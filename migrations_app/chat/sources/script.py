"""The script that an administrator runs beside the database of Persistent Chat or Group Chat, to write the tables that
``mgc-tables`` reads (R104). MMS never connects to that database, and nobody gives it a password.

It is PowerShell, because ``bcp`` and ``sqlcmd`` write neither the names of columns nor quotation marks, so that a
message with a comma or a second line would be torn apart. It needs nothing that Windows does not have. Each statement
names its columns, only reads, and takes what this version of the database has of the published columns; where one is
missing without which MMS cannot read the table, it says so and writes nothing more.
"""

from __future__ import annotations

from migrations_app.chat.sources.table_columns import TABLES


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _statement(table: str) -> str:
    columns = TABLES[table]
    names = ", ".join(f"[{name}]" for name in columns.required)
    order = ", ".join(f"[{name}]" for name in columns.order)
    return " ".join(("SELECT", names, "FROM", f"dbo.[{table}]", "ORDER BY", f"{order};"))


SQL_SCRIPT = "\n".join(
    [
        "-- The tables of Persistent Chat or Group Chat, for MMS. Named columns, read only.",
        "-- Save each result as <table>.csv in UTF-8 with the names of columns and with quotation marks around texts.",
        "-- The PowerShell script does all of that. Stop the chat services first: all tables must be of one moment.",
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;",
        "SET LOCK_TIMEOUT 60000;",
        *(
            line
            for table, columns in TABLES.items()
            for line in (
                f"-- {table}.csv"
                + (f" (where the database has them, also: {', '.join(columns.optional)})" if columns.optional else ""),
                _statement(table),
            )
        ),
        "",
    ]
)
"""What is asked, for whoever wants to read it first, or to run it with a tool of their own."""

_HEAD = """\
#requires -Version 3.0
<#
    Writes the tables of Persistent Chat or Group Chat as CSV files in UTF-8, for MMS.
    It only reads: named columns, no change to the database, which would be unsupported.
    Stop the chat services first, so that all tables are of one moment.
    Run it as somebody who may read the database:
        .\\write-chat-tables.ps1 -SqlInstance sql01.contoso.com\\rtc -Database mgc -Folder D:\\chat-2026-11
    The folder must not hold such files yet. Give it to MMS, as it is or as a ZIP, and delete it there afterwards:
    it holds every message.
#>
param(
    [Parameter(Mandatory = $true)] [string] $SqlInstance,
    [string] $Database = 'mgc',
    [Parameter(Mandatory = $true)] [string] $Folder
)
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
$tables = @(
"""

_TAIL = """\
)
$invariant = [System.Globalization.CultureInfo]::InvariantCulture
$utf8 = New-Object System.Text.UTF8Encoding($true)

function Format-Field($value) {
    if ($value -is [System.DBNull]) { return '' }
    if ($value -is [bool]) { if ($value) { return '1' } else { return '0' } }
    if ($value -is [string]) { return '"' + $value.Replace('"', '""') + '"' }
    if ($value -is [datetime]) { return $value.ToString('o', $invariant) }
    return [System.Convert]::ToString($value, $invariant)
}

if (-not (Test-Path -LiteralPath $Folder)) { [void](New-Item -ItemType Directory -Path $Folder) }
$Folder = (Resolve-Path -LiteralPath $Folder).ProviderPath
foreach ($table in $tables) {
    $path = Join-Path $Folder ($table.Name + '.csv')
    if (Test-Path -LiteralPath $path) { throw "$path is there already. Choose an empty folder." }
}

$builder = New-Object System.Data.SqlClient.SqlConnectionStringBuilder
$builder['Data Source'] = $SqlInstance
$builder['Initial Catalog'] = $Database
$builder['Integrated Security'] = $true
$builder['Application Name'] = 'MMS chat tables (read only)'
$connection = New-Object System.Data.SqlClient.SqlConnection($builder.ConnectionString)
$connection.Open()
try {
    $settings = $connection.CreateCommand()
    $settings.CommandText = 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCK_TIMEOUT 60000;'
    [void]$settings.ExecuteNonQuery()
    foreach ($table in $tables) {
        $look = $connection.CreateCommand()
        $look.CommandText = 'SELECT c.name FROM sys.columns AS c WHERE c.object_id = OBJECT_ID(@table);'
        [void]$look.Parameters.AddWithValue('@table', 'dbo.' + $table.Name)
        $there = @()
        $reader = $look.ExecuteReader()
        while ($reader.Read()) { $there += $reader.GetString(0) }
        $reader.Close()
        $missing = @($table.Required | Where-Object { $there -notcontains $_ })
        if ($missing.Count -gt 0) { throw ($table.Name + ' has no column ' + ($missing -join ', ') + '.') }
        $columns = @($table.Required) + @($table.Optional | Where-Object { $there -contains $_ })
        $command = $connection.CreateCommand()
        $command.CommandTimeout = 0
        $names = ($columns | ForEach-Object { '[' + $_ + ']' }) -join ', '
        $order = ($table.Order | ForEach-Object { '[' + $_ + ']' }) -join ', '
        $command.CommandText = "SELECT $names FROM dbo.[$($table.Name)] ORDER BY $order;"
        $path = Join-Path $Folder ($table.Name + '.csv')
        $writer = New-Object System.IO.StreamWriter($path, $false, $utf8)
        $count = 0
        try {
            $writer.Write(($columns -join ',') + "`r`n")
            $reader = $command.ExecuteReader([System.Data.CommandBehavior]::SequentialAccess)
            try {
                $fields = New-Object string[] $columns.Count
                while ($reader.Read()) {
                    for ($i = 0; $i -lt $columns.Count; $i++) { $fields[$i] = Format-Field ($reader.GetValue($i)) }
                    $writer.Write([string]::Join(',', $fields) + "`r`n")
                    $count++
                }
            } finally { $reader.Close() }
        } finally { $writer.Close() }
        Write-Host ('{0}: {1} rows' -f $path, $count)
    }
} finally { $connection.Close() }
"""

POWERSHELL_SCRIPT = (
    _HEAD
    + ",\n".join(
        f"    @{{ Name = '{name}'\n"
        f"       Required = @({_quoted(tuple(columns.required))})\n"
        f"       Optional = @({_quoted(tuple(columns.optional))})\n"
        f"       Order = @({_quoted(tuple(columns.order))}) }}"
        for name, columns in TABLES.items()
    )
    + "\n"
    + _TAIL
)
"""What an administrator runs."""

SCRIPTS = {"powershell": POWERSHELL_SCRIPT, "sql": SQL_SCRIPT}
