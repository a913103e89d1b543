"""The Music Structure Analysis Framework (Nieto and Bello, 2016), in a Python of its own that has what it needs.

    pip install msaf==0.1.80 numpy==1.26.4 scipy==1.11.4 pandas==2.1.4 scikit-learn==1.4.2 'librosa<0.11'
    python benchmarks/music/systems/msaf_process.py sf:fmc2d scluster:scluster

Reads paths of WAV files from standard input, a line each, and answers with a line of JSON: of every pair of algorithms
(boundaries:labels) the boundaries in seconds and the labels between them. It leaves files in the folder that it is
started in. Nothing of this package is imported here.
"""

import contextlib
import json
import sys
import warnings


def main() -> None:
    """Answer until there are no more questions."""
    warnings.simplefilter("ignore")
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        import msaf

        for line in sys.stdin:
            said = {}
            for pair in sys.argv[1:]:
                bounds, labels = pair.split(":")
                times, groups = msaf.process(line.strip(), boundaries_id=bounds, labels_id=labels, feature="pcp")
                said[pair] = [[float(time) for time in times], [int(group) for group in groups]]
            print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main()
