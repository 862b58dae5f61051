"""Keep modules importable under their names from before version 0.1, with a warning.

This lasts for one version. Attributes are looked up in the module that replaced the former one;
attributes that were renamed themselves are not found.
"""

from __future__ import annotations

from collections.abc import Sequence
import importlib
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
import sys
from types import ModuleType
import warnings

FORMER = {
    'audio.calibration': 'audio.array_calibration',
    'audio.device': 'sources.device',
    'audio.fed_device': 'bench.clocked_device',
    'audio.feed': 'bench.clocked_feeder',
    'audio.file': 'sources.file',
    'audio.loss': 'audio.dropouts',
    'audio.meter': 'sources.tools.meter',
    'audio.recording': 'sources.tools.record',
    'audio.renderer': 'sources.render_process',
    'audio.simulation': 'sources.simulated',
    'audio.sources': 'sources.make',
    'audio.tapping': 'sources.tools.identify_channels',
    'audio.virtual_device': 'bench.virtual_device',
    'bags.listening': 'bags.input_selection',
    'bags.messages': 'messages.decode',
    'bags.sound': 'messages.stream',
    'bags.typestore': 'messages.typestore',
    'bounded_file': 'files',
    'cli.bench': 'cli.bench_steps',
    'cli.check_dataset': 'cli.eval_check_dataset',
    'cli.compare': 'cli.eval_compare',
    'cli.drive_to_bag': 'cli.bag_from_drive',
    'cli.evaluate': 'cli.eval_model',
    'cli.evaluate_trackers': 'cli.eval_trackers',
    'cli.faults': 'cli.bench_faults',
    'cli.field': 'cli.bench_options',
    'cli.inspect_model': 'cli.eval_inspect_model',
    'cli.label': 'cli.train_label',
    'cli.process': 'cli.bag_process',
    'cli.replay': 'cli.bag_replay',
    'cli.reproduce': 'cli.train_reproduce',
    'cli.search': 'cli.train_search',
    'cli.simulate': 'cli.sim_drives',
    'cli.simulate_check': 'cli.sim_check',
    'cli.simulate_windows': 'cli.sim_windows',
    'cli.soak': 'cli.bench_soak',
    'cli.train': 'cli.train_student',
    'demo': 'bench.demo',
    'domain': 'dds_domain',
    'encoded_picture': 'image_codec',
    'evaluation.agreement': 'evaluation.comparison.agreement',
    'evaluation.bag_records': 'evaluation.runs.on_bags',
    'evaluation.baselines': 'evaluation.runs.baselines',
    'evaluation.bearing_pages': 'evaluation.bearing_study.pages',
    'evaluation.bearing_run': 'evaluation.bearing_study.run',
    'evaluation.bearing_scores': 'evaluation.bearings.scores',
    'evaluation.bearing_tables': 'evaluation.bearing_study.tables',
    'evaluation.bench': 'bench.step_costs',
    'evaluation.box_bearings': 'evaluation.bearings.of_boxes',
    'evaluation.breakdown': 'evaluation.scores',
    'evaluation.calibrated_arrays': 'evaluation.bearing_study.calibrated_arrays',
    'evaluation.clock_faults': 'bench.clock_faults',
    'evaluation.compare': 'evaluation.comparison.differences',
    'evaluation.compare_run': 'evaluation.comparison.run',
    'evaluation.corner_drives': 'evaluation.ground.corner_drives',
    'evaluation.corner_scores': 'evaluation.ground.corner_scores',
    'evaluation.dataset': 'evaluation.runs.on_dataset',
    'evaluation.detection_metrics': 'evaluation.boxes.metrics',
    'evaluation.drive_record': 'evaluation.runs.record',
    'evaluation.drive_windows': 'evaluation.runs.windows',
    'evaluation.drives': 'evaluation.runs.on_simulation',
    'evaluation.early_vehicles': 'evaluation.bearings.early_vehicles',
    'evaluation.error_maps': 'evaluation.boxes.error_maps',
    'evaluation.evaluate': 'evaluation.evaluation_run',
    'evaluation.fault_bench': 'bench.fault_table',
    'evaluation.faults': 'bench.faults',
    'evaluation.field_page': 'bench.doc_section',
    'evaluation.ground_drives': 'evaluation.ground.drives',
    'evaluation.ground_scores': 'evaluation.ground.scores',
    'evaluation.ground_study': 'evaluation.ground.study',
    'evaluation.html_report': 'evaluation.reports.html',
    'evaluation.label_quality': 'evaluation.boxes.label_quality',
    'evaluation.losses': 'bench.stream_losses',
    'evaluation.mistakes': 'evaluation.boxes.error_maps',
    'evaluation.on_bags': 'evaluation.runs.on_bags',
    'evaluation.on_dataset': 'evaluation.runs.on_dataset',
    'evaluation.on_simulation': 'evaluation.runs.on_simulation',
    'evaluation.on_windows': 'evaluation.bearing_study.on_windows',
    'evaluation.page_section': 'evaluation.reports.page_section',
    'evaluation.pictures': 'evaluation.reports.pictures',
    'evaluation.pipeline_bench': 'bench.latency',
    'evaluation.plots': 'evaluation.reports.plots',
    'evaluation.public_trackers': 'evaluation.tracks.public_trackers',
    'evaluation.quiet_drives': 'evaluation.bearings.quiet_drives',
    'evaluation.record': 'evaluation.runs.record',
    'evaluation.released_metrics': 'evaluation.boxes.released_metrics',
    'evaluation.report': 'evaluation.reports.tables',
    'evaluation.samples': 'evaluation.reports.samples',
    'evaluation.score_thresholds': 'evaluation.bearings.score_thresholds',
    'evaluation.small_disk': 'bench.small_disk',
    'evaluation.soak': 'bench.soak',
    'evaluation.steered_picture': 'evaluation.bearing_study.steered_picture',
    'evaluation.track_metrics': 'evaluation.tracks.metrics',
    'evaluation.tracker_study': 'evaluation.tracks.study',
    'evaluation.vehicle': 'bench.graph_under_test',
    'evaluation.window_detectors': 'evaluation.runs.detectors',
    'evaluation.window_store': 'evaluation.runs.window_store',
    'nodes.ending': 'nodes.shutdown',
    'nodes.levels': 'nodes.channel_levels',
    'nodes.malformed': 'bench.malformed_messages',
    'nodes.messages': 'messages.encode',
    'nodes.missed': 'nodes.message_loss',
    'nodes.observer': 'nodes.graph_monitor',
    'nodes.parameters': 'parameters',
    'nodes.probe': 'nodes.graph_monitor',
    'nodes.replay': 'cli.replay_process',
    'nodes.silence': 'nodes.topic_health',
    'nodes.sound_input': 'nodes.source_reader',
    'nodes.train': 'cli.train_node',
    'nodes.witness': 'nodes.graph_monitor',
    'same_rig': 'rig_match',
    'shown': 'quoting',
    'training.alignment': 'training.losses.attention_alignment',
    'training.anchor_loss': 'training.efficientdet.anchors',
    'training.augment': 'training.data.augment',
    'training.calibration': 'training.boxes.score_calibration',
    'training.chain': 'training.run.train',
    'training.dataset_check': 'dataset.check',
    'training.detector': 'training.boxes.postprocess',
    'training.distillation': 'training.run.task',
    'training.distillation_recipe': 'training.recipes.student',
    'training.distilled_card': 'training.results.model_card',
    'training.drive_split': 'dataset.splits',
    'training.drive_windows': 'dataset.features',
    'training.engine': 'training.run.task',
    'training.evaluation_files': 'training.results.evaluation_files',
    'training.export': 'training.results.export',
    'training.frames': 'training.data.camera_frames',
    'training.grid': 'training.boxes.grid',
    'training.grid_loss': 'training.boxes.grid_loss',
    'training.half': 'training.results.export_fp16',
    'training.labelled_frames': 'training.data.labelled_frames',
    'training.labelling': 'training.teachers.labelling',
    'training.labels': 'dataset.labels',
    'training.listener_detector': 'training.networks.calibrated',
    'training.listeners': 'training.networks.base',
    'training.loading_bench': 'training.studies.loading_bench',
    'training.loop': 'training.fitting.fit',
    'training.mapped_arrays': 'files',
    'training.mavd': 'dataset.layout',
    'training.model_card': 'training.results.model_card',
    'training.paper_rows': 'training.studies.paper_rows',
    'training.paper_students': 'training.networks.paper',
    'training.picture_area': 'training.data.picture_area',
    'training.pipeline': 'training.run.train',
    'training.pretext': 'training.run.pretext',
    'training.processes': 'training.fitting.distributed',
    'training.recipe': 'training.recipes.read',
    'training.recipe_fields': 'fields',
    'training.recipe_parts': 'training.recipes.parts',
    'training.reproduce': 'training.studies.reproduce',
    'training.reproduce_table': 'training.studies.reproduce_table',
    'training.run_folder': 'training.fitting.run_folder',
    'training.scores': 'training.results.scores',
    'training.search': 'training.studies.search',
    'training.skipped': 'dataset.skipped',
    'training.sound_cache': 'dataset.features',
    'training.stages': 'training.run.stages',
    'training.steering': 'training.networks.steering',
    'training.students': 'training.networks.steered',
    'training.subsets': 'dataset.subsets',
    'training.taught_augment': 'training.data.augment',
    'training.taught_windows': 'training.data.windows',
    'training.teacher': 'training.teachers.efficientdet',
    'training.training_bench': 'training.studies.training_bench',
    'training.transfer': 'training.losses.attentive_features',
    'training.whole_file': 'files',
    'training.window_files': 'training.data.simulated',
    'training.window_set': 'training.data.windows',
}
"""Current name of each former module, both relative to `avdet_ros`."""

_PACKAGE = __name__.rpartition('.')[0]


class FormerModules(MetaPathFinder, Loader):
    """Finds modules by their former names; used when no file with such a name exists."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        package, _, rest = name.partition('.')
        if package != _PACKAGE or rest not in FORMER:
            return None
        return ModuleSpec(name, self)

    def exec_module(self, module: ModuleType) -> None:
        """Forward every attribute to the current module."""
        now = f'{_PACKAGE}.{FORMER[module.__name__.partition(".")[2]]}'
        warnings.warn(f'{module.__name__} is {now} now', DeprecationWarning, stacklevel=2)
        real = importlib.import_module(now)
        module.__dict__['__getattr__'] = lambda name: getattr(real, name)
        module.__doc__ = real.__doc__


def find_former_modules() -> None:
    """Install the finder, unless it is installed already."""
    if not any(isinstance(finder, FormerModules) for finder in sys.meta_path):
        sys.meta_path.append(FormerModules())
