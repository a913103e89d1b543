#!/usr/bin/env bash
# Everything that wants a GPU, in one call, on a machine that has torch, torchaudio, numba, scikit-learn and no network.
#
#   benchmarks/gpu.sh pack CORPUS      beforehand, here: what that machine lacks goes into var/gpu (ignored, carry it)
#   benchmarks/gpu.sh run OUT [OPTION …]    there: tests marked gpu, the search, inference against the CPU, trainings;
#                                           options of benchmarks.gpu; GPU_SEARCH: those of benchmarks.search.gpu_search
#
# GPU_FAISS=PATH packs an archive with FAISS for that GPU (.txz); without one, and none there, nothing is searched.
# A call's tree is limited to GPU_TREE_MIB (default 64): the corpus gets what is left, at most GPU_CORPUS_MB (default 15),
# a track of every group in turn. FAISS takes the teachers' place: taggers are trained in a call without it.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
pack)
    corpus=${2:?usage: benchmarks/gpu.sh pack CORPUS}
    python=${GPU_PYTHON:-3.12}
    unpacked=$(mktemp -d)
    rm -rf var/gpu && mkdir -p var/gpu/weights "$unpacked/wheels" "$unpacked/site"
    # No dependencies: torch, numba and scikit-learn (with numpy and scipy) are there, and must not be replaced.
    .venv/bin/python -m pip download --quiet --no-deps --only-binary :all: --python-version "$python" \
        --dest "$unpacked/wheels" --constraint constraints.txt \
        alembic annotated-types av iniconfig mako markupsafe mutagen packaging pluggy psutil pydantic pydantic-core \
        pygments pyroaring pytest safetensors sqlalchemy threadpoolctl typing-extensions typing-inspection
    for wheel in "$unpacked"/wheels/*.whl; do .venv/bin/python -m zipfile -e "$wheel" "$unpacked/site"; done
    # Wheels are zip files; as one archive of this kind they are two thirds as large.
    tar -C "$unpacked/site" -c . | xz -9 -T0 > var/gpu/site.txz
    rm -rf "$unpacked"
    if [ -n "${GPU_FAISS:-}" ]; then
        cp "$GPU_FAISS" var/gpu/faiss.txz
    else
        cp "${SOUNDALIKE_CACHE:-$HOME/.cache/soundalike}"/weights/musicnn*.safetensors var/gpu/weights/
    fi
    tree=$({ git ls-files -z --cached --others --exclude-standard; find var/gpu -type f -print0; } |
        xargs -0 stat -c %s 2>/dev/null | awk '{ sum += $1 } END { print sum }')
    .venv/bin/python - "$corpus" "$tree" "${GPU_TREE_MIB:-64}" "${GPU_CORPUS_MB:-15}" <<'PY'
import itertools, json, shutil, sys
from pathlib import Path
corpus, tree, tree_mib, corpus_mb = Path(sys.argv[1]), *map(float, sys.argv[2:])
labels = sum(path.stat().st_size for path in (corpus / "labels").rglob("*") if path.is_file())
left = min(corpus_mb * 1e6, (tree_mib - 0.5) * 2**20 - tree - labels)
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
    du -sh var/gpu
    ;;
run)
    out=${2:?usage: benchmarks/gpu.sh run OUT}
    site=$(mktemp -d)
    for archive in var/gpu/*.txz; do tar -C "$site" -xf "$archive"; done
    # What the machine has of pytest's plugins need not fit this pytest, nor its warnings be ours.
    export PYTHONPATH="$site:$PWD" PYTHONUNBUFFERED=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 failed=0
    tests="tests/encoders/test_spec.py tests/training/test_augmentations.py" search=
    if python3 -c "import torch, faiss"; then tests="tests/index/test_gpu.py $tests" search=1; fi
    # shellcheck disable=SC2086
    python3 -m pytest -q -m gpu -W default -p no:cacheprovider --durations=5 $tests || failed=1
    # shellcheck disable=SC2086
    [ -z "$search" ] || python3 -m benchmarks.search.gpu_search ${GPU_SEARCH:-} || failed=1
    train=()
    [ -n "$(ls var/gpu/weights)" ] || train=(--train clmr-samplecnn)
    python3 -m benchmarks.gpu --corpus var/gpu/corpus --weights var/gpu/weights --out "$out" "${train[@]}" "${@:3}" || failed=1
    exit "$failed"
    ;;
*)
    sed -n '2,11p' "$0" >&2
    exit 2
    ;;
esac
