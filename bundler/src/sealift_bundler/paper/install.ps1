# Installs unseal from this bundle into an environment of its own. Nothing is fetched.
# Check the bundle first: see VERIFY.txt.
#
#   powershell -ExecutionPolicy Bypass -File install.ps1 [-Place DIRECTORY] [-Python COMMAND]
param(
    [string]$Place = (Join-Path $env:LOCALAPPDATA 'sealift\unseal'),
    [string]$Python = 'python'
)
$ErrorActionPreference = 'Stop'

& $Python -c 'import sys; sys.exit(sys.version_info < (3, 11))'
if ($LASTEXITCODE -ne 0) {
    [Console]::Error.WriteLine('unseal needs Python 3.11 or newer: name one with -Python COMMAND')
    exit 6
}
& $Python -m venv $Place
if ($LASTEXITCODE -ne 0) { exit 6 }
$program = Join-Path $Place 'Scripts\python.exe'
& $program -m pip --isolated --disable-pip-version-check install --quiet `
    --no-index --require-hashes --find-links (Join-Path $PSScriptRoot 'unseal\wheels') `
    --requirement (Join-Path $PSScriptRoot 'unseal\requirements.txt')
if ($LASTEXITCODE -ne 0) { exit 6 }

$unseal = Join-Path $Place 'Scripts\unseal.exe'
$root = Join-Path $PSScriptRoot 'trust\root\1.root.dsse.json'
Write-Output "unseal is here: $unseal"
Write-Output 'Next, with the SHA-256 that came to you by another way than this bundle:'
Write-Output "  & '$unseal' trust import '$root' --sha256 HEX"
Write-Output "  & '$unseal' install '$PSScriptRoot'"
