from .bench import BenchAccuracy as BenchAccuracy
from .bench import BenchFindings as BenchFindings
from .bench import bench_findings as bench_findings
from .bench_files import read_bench as read_bench
from .bias import agreement as agreement
from .bias import head_bias as head_bias
from .cases import collect_cases as collect_cases
