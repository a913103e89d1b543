#!/usr/bin/env bash
# Everything that wants a GPU, in one call, on a machine that has torch, torchaudio and no network.
#
#   benchmarks/gpu.sh pack CORPUS      beforehand, here: what that machine lacks goes into var/gpu (ignored, carry it)
#   benchmarks/gpu.sh run OUT [OPTION …]    there: inference against the CPU, then trainings; options of benchmarks.gpu
#
# A call's tree is limited, so the packed corpus is too: GPU_CORPUS_MB of it (default 15), a track of every group in turn.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
pack)
    corpus=${2:?usage: benchmarks/gpu.sh pack CORPUS}
    python=${GPU_PYTHON:-3.12}
    rm -rf var/gpu && mkdir -p var/gpu/wheels
    # No dependencies: torch and numpy are there, and must not be replaced. Wheels, since unpacked they are three times as large.
    .venv/bin/python -m pip download --quiet --no-deps --only-binary :all: --python-version "$python" --dest var/gpu/wheels \
        --constraint constraints.txt av safetensors
    .venv/bin/python - "$corpus" "${GPU_CORPUS_MB:-15}" <<'PY'
import itertools, json, shutil, sys
from pathlib import Path
corpus, left = Path(sys.argv[1]), float(sys.argv[2]) * 1e6
groups = {}
for line in (corpus / "manifest.jsonl").read_text().splitlines():
    track = json.loads(line)
    groups.setdefault(track["group"], []).append(track)
out = Path("var/gpu/corpus")
(out / "audio").mkdir(parents=True)
with (out / "manifest.jsonl").open("w") as manifest:
    for track in filter(None, itertools.chain(*itertools.zip_longest(*groups.values()))):
        left -= (corpus / track["file"]).stat().st_size
        if left < 0:
            break
        shutil.copy(corpus / track["file"], out / track["file"])
        manifest.write(json.dumps(track) + "\n")
PY
    cp -r "$corpus/labels" var/gpu/corpus/ 2>/dev/null || echo "no labels in $corpus: taggers cannot be trained there"
    mkdir -p var/gpu/weights
    cp "${SOUNDALIKE_CACHE:-$HOME/.cache/soundalike}"/weights/musicnn*.safetensors var/gpu/weights/
    du -sh var/gpu
    ;;
run)
    out=${2:?usage: benchmarks/gpu.sh run OUT}
    site=$(mktemp -d)
    for wheel in var/gpu/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$site"; done
    export PYTHONPATH="$site:$PWD"
    python3 -m benchmarks.gpu --corpus var/gpu/corpus --weights var/gpu/weights --out "$out" "${@:3}"
    ;;
*)
    sed -n '2,8p' "$0" >&2
    exit 2
    ;;
esac
