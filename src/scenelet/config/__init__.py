"""Settings of a run, recipes, and the files of a run folder.

- `settings`: all settings (`RunConfig`) and their checks.
- `training_settings`: the sections on the network and its training.
- `frontend`: the settings that a model file stores (`FeatureConfig`, `WindowConfig`).
- `recipes`: named sets of settings (`load_recipe`, `list_recipes`).
- `run_folder`: file names in a run folder.
"""

from scenelet.config.frontend import FeatureConfig as FeatureConfig
from scenelet.config.frontend import Settings as Settings
from scenelet.config.frontend import WindowConfig as WindowConfig
from scenelet.config.settings import DataConfig as DataConfig
from scenelet.config.settings import PruneConfig as PruneConfig
from scenelet.config.settings import RunConfig as RunConfig
from scenelet.config.settings import SplitConfig as SplitConfig
from scenelet.config.settings import TrainerConfig as TrainerConfig
from scenelet.config.settings import build_config as build_config
from scenelet.config.settings import setting_keys as setting_keys
from scenelet.config.settings import suggest_setting as suggest_setting
from scenelet.config.training_settings import AugmentConfig as AugmentConfig
from scenelet.config.training_settings import DistillationConfig as DistillationConfig
from scenelet.config.training_settings import LossConfig as LossConfig
from scenelet.config.training_settings import MixingConfig as MixingConfig
from scenelet.config.training_settings import NetworkConfig as NetworkConfig
from scenelet.config.training_settings import ScheduleConfig as ScheduleConfig
from scenelet.config.training_settings import TransferConfig as TransferConfig
from scenelet.config.training_settings import WaveformConfig as WaveformConfig
